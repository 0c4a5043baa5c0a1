"""Responses that a fault changes: replaced, corrupted, cut off or dropped."""

from typing import Protocol

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from maas_simulator.model.faults import Fault
from maas_simulator.model.refusals import HTML, JSON_TYPE, TEXT

WIRE = "maas_simulator.wire"
"""The key in the ASGI scope under which the server puts the connection's transport, if there is one."""


class Wire(Protocol):
    """The methods of a transport that faults use."""

    def abort(self) -> None:
        """Close the connection at once."""

    def close(self) -> None:
        """Close the connection after all data is sent."""

    def write(self, data: bytes) -> None:
        """Send bytes."""


class Dropped(Response):
    """A dropped response: a server closes the connection; in process, ``ConnectionResetError`` is raised."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection."""
        del receive, send
        wire: Wire | None = scope.get(WIRE)
        if wire is None:
            raise ConnectionResetError("a fault of the simulator dropped this connection")
        wire.abort()


class CutInHeaders(Response):
    """A response that ends within its headers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the status line and half a header, and close the connection."""
        del receive, send
        wire: Wire | None = scope.get(WIRE)
        if wire is None:
            raise ConnectionResetError("a fault of the simulator cut this response off within its headers")
        wire.write(f"HTTP/1.1 {self.status_code} \r\nContent-Type: appl".encode())
        wire.close()


class CutInBody(Response):
    """A response that ends halfway through its body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and half of the body, and close the connection."""
        del receive
        wire: Wire | None = scope.get(WIRE)
        start: Message = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        body = bytes(self.body)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        if wire is None:
            raise ConnectionResetError("a fault of the simulator cut this response off within its body")
        wire.close()


def replacement(fault: Fault, now: float) -> Response:
    """Build the response that replaces MAAS's. ``now`` is the region's clock, for the rate limit."""
    is_json = fault.body[:1] in ("{", "[")
    headers = {name.lower(): value for name, value in fault.headers.items()}
    if fault.limit is not None and "retry-after" in headers:
        headers["retry-after"] = str(fault.limit.retry_after(now))
    content_type = headers.pop("content-type", JSON_TYPE if is_json else HTML if fault.body[:1] == "<" else TEXT)
    return Response(fault.body, fault.status or 200, headers, content_type)


def apply_fault(fault: Fault, answer: Response) -> Response:
    """Apply a fault to a response: corrupt it, cut it off or drop it."""
    if fault.spoil is not None:
        answer = _corrupt(fault.spoil, answer)
    match fault.drop:
        case "before" | "after":
            return Dropped()
        case "headers":
            return _copy_as(CutInHeaders, answer)
        case "body":
            return _copy_as(CutInBody, answer)
    return answer


def _corrupt(how: str, answer: Response) -> Response:
    body = bytes(answer.body)
    corrupted = body[: len(body) // 2] if how == "truncated" else b"{malformed" + body.replace(b'"', b"'")
    return _copy_as(Response, answer, corrupted)


def _copy_as(kind: type[Response], answer: Response, body: bytes | None = None) -> Response:
    """Send the same response as another class or with another body."""
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return kind(bytes(answer.body) if body is None else body, answer.status_code, headers)
