"""Responses that a fault changes: replaced, corrupted, cut off or dropped."""

from typing import Final, Literal, Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from maas_simulator.model.faults import Fault
from maas_simulator.model.refusals import HTML, JSON_TYPE, TEXT

R = TypeVar("R", bound=Response)
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


class Cut(Response):
    """A response that ends early. In process, ``ConnectionResetError`` is raised instead."""

    where: Literal["before", "headers", "body"] = "before"
    """Before it begins, within its headers, or halfway through its body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is left of the response, and close the connection."""
        del receive
        wire: Wire | None = scope.get(WIRE)
        if self.where == "body":
            start: Message = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            body = bytes(self.body)
            await send(start)
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        if wire is None:
            raise ConnectionResetError(f"a fault of the simulator {_CUT[self.where]}")
        if self.where == "before":
            wire.abort()
            return
        if self.where == "headers":
            wire.write(f"HTTP/1.1 {self.status_code} \r\nContent-Type: appl".encode())
        wire.close()


_CUT: Final = {
    "before": "dropped this connection",
    "headers": "cut this response off within its headers",
    "body": "cut this response off within its body",
}


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
        body = bytes(answer.body)
        corrupted = body[: len(body) // 2] if fault.spoil == "truncated" else b"{malformed" + body.replace(b'"', b"'")
        answer = _copy_as(Response, answer, corrupted)
    if not fault.drop:
        return answer
    cut = _copy_as(Cut, answer, bytes(answer.body))
    cut.where = fault.drop if fault.drop in ("headers", "body") else "before"
    return cut


def _copy_as(kind: type[R], answer: Response, body: bytes) -> R:
    """Send the same response as another class and with another body."""
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return kind(body, answer.status_code, headers)
