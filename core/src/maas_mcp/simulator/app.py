"""The region as an ASGI application: routing, credentials, faults and holds around the handlers."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

import anyio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from maas_mcp.simulator import region_routes
from maas_mcp.simulator.calls import Answer, Call, parse_form
from maas_mcp.simulator.description import describe
from maas_mcp.simulator.endpoints import PREFIX, Endpoint, find
from maas_mcp.simulator.faults import Fault, Hold, RequestRecord
from maas_mcp.simulator.refusals import BY_USER, HTML, JSON_TYPE, PLAIN, TEXT, Refusal, no_such_endpoint, unrecognised
from maas_mcp.simulator.region import Region

DROP = "maas_mcp.simulator.drop"
"""The key in the scope under which a server leaves the function that closes the connection, if there is one."""

MOVED = (
    "<html>\r\n<head><title>301 Moved Permanently</title></head>\r\n<body>\r\n"
    "<center><h1>301 Moved Permanently</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)
"""What the proxy in front of MAAS answers at the root."""

_METHODS = ("PUT", "POST", "GET", "DELETE")


def create_app(region: Region) -> Starlette:
    """The ASGI application of a region; any server or in-process transport can run it."""
    return Starlette(routes=[Route("/{path:path}", endpoint=_RegionApp(region))])


class _Dropped(Response):
    """An answer that never comes: the server's connection is closed, in process an ``OSError`` is raised."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        drop = scope.get(DROP)
        if drop is None:
            raise ConnectionResetError("the simulator was asked to drop this connection")
        drop()


@dataclass
class _Asked:
    """A request on its way: its endpoint and op may not exist."""

    request: Request
    path: str
    endpoint: Endpoint | None
    parts: tuple[str, ...]
    op: str | None
    op_in_path: bool
    raw_query: str
    query: dict[str, list[str]]
    form: dict[str, list[str]]
    broken: Refusal | None


class _RegionApp:
    def __init__(self, region: Region) -> None:
        self.region = region

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        arrived = self.region.schedule.clock()
        try:
            asked = await _understand(request)
        except ClientDisconnect:
            return
        record = RequestRecord(arrived, request.method, asked.path, asked.op, asked.form, asked.query)
        self.region.requests.append(record)
        response = await self._answer(asked)
        record.status = None if isinstance(response, _Dropped) else response.status_code
        await response(scope, receive, send)

    async def _answer(self, asked: _Asked) -> Response:
        fault = self._fault(asked)
        if fault is not None and not fault.acts:
            return _faulty(fault)
        hold = next((self.region.holds[name] for name in _hold_names(asked) if name in self.region.holds), Hold())
        response = await self._act_after(hold.before, asked)
        await _wait(hold.after)
        return response if fault is None else _faulty(fault)

    async def _act_after(self, seconds: float, asked: _Asked) -> Response:
        """A client that goes away while its request is held does not stop it: MAAS acts all the same."""
        until = self.region.schedule.clock() + seconds
        try:
            await _wait(seconds)
        except anyio.get_cancelled_exc_class():
            left = max(0.0, until - self.region.schedule.clock()) * self.region.schedule.speed
            with self.region.lock:
                self.region.play()
                self.region.schedule.after(left, lambda: _ignore(self._respond(asked)))
            raise
        with self.region.lock:
            self.region.play()
            return self._respond(asked)

    def _fault(self, asked: _Asked) -> Fault | None:
        for fault in self.region.faults:
            if fault.matches(asked.request.method, asked.path, asked.op):
                fault.times -= 1
                if fault.times <= 0:
                    self.region.faults.remove(fault)
                return fault
        return None

    def _respond(self, asked: _Asked) -> Response:
        try:
            answer = self._handle(asked)
        except Refusal as refusal:
            return _response(refusal.status, refusal.body, refusal.content_type, refusal.headers)
        return _response(answer.status, answer.body, answer.content_type, answer.headers)

    def _handle(self, asked: _Asked) -> Answer:
        request, endpoint = asked.request, asked.endpoint
        if asked.path == f"{PREFIX}describe/" and request.method == "GET":
            return Answer(describe(str(request.base_url).rstrip("/")), content_type="application/json")
        if endpoint is None:
            if asked.path == "/MAAS/":
                raise Refusal(301, MOVED, "text/html", {"Location": "/MAAS/r/"}).without_vary()
            raise no_such_endpoint(asked.path)
        if endpoint.name == "Version" and request.method == "GET":
            return region_routes.VERSION
        user = self.region.authenticator.user(request.headers.get("authorization"))
        if user is None:
            raise unrecognised(request.method, asked.op) if endpoint.anonymous else Refusal(401, "Forbidden", PLAIN)
        if request.method not in _METHODS:
            raise Refusal(405, "", HTML, {"Allow": ", ".join(_METHODS), **BY_USER})
        if asked.broken is not None:
            raise asked.broken
        handler = endpoint.handlers.get((request.method, asked.op))
        if handler is None:
            raise no_such_endpoint(asked.path) if asked.op_in_path else unrecognised(request.method, asked.op)
        formats = asked.query.get("format", ["json"])
        if formats[-1] != "json":
            raise Refusal(400, f"Invalid output format specified '{formats[-1]}'.", PLAIN)
        call = Call(
            region=self.region,
            user=user,
            method=request.method,
            path=asked.path,
            raw_query=asked.raw_query,
            query=asked.query,
            form=asked.form,
            parts=asked.parts,
        )
        return handler(call)


async def _understand(request: Request) -> _Asked:
    path = str(request.scope["path"])
    raw_query = request.scope["query_string"].decode("latin-1")
    query = parse_qs(raw_query, keep_blank_values=True)
    form: dict[str, list[str]] = {}
    broken = None
    body = await request.body()
    try:
        form = parse_form(request.headers.get("content-type", ""), body)
    except Refusal as refusal:
        broken = refusal
    endpoint, parts, path_op = find(path)
    op = path_op or next(iter(query.get("op", ())), None)
    if request.method == "POST":
        op = op or next(iter(form.pop("op", ())), None)
    return _Asked(request, path, endpoint, parts, op, path_op is not None, raw_query, query, form, broken)


def _hold_names(asked: _Asked) -> tuple[str, ...]:
    """The names a request is held by: its op, and for the reads ``events`` or ``machines``."""
    inside = asked.path.removeprefix(PREFIX)
    is_read = asked.request.method == "GET" and inside.startswith(("events/", "machines/"))
    return (asked.op or "", inside.partition("/")[0] if is_read else "")


def _response(status: int, body: str, content_type: str, headers: Mapping[str, str]) -> Response:
    """As a header and not as a media type, to which Starlette would add a charset where MAAS has none."""
    return Response(body, status, {"Content-Type": content_type, **headers})


def _faulty(fault: Fault) -> Response:
    if fault.drop:
        return _Dropped()
    is_json = fault.body[:1] in ("{", "[")
    headers = {name.lower(): value for name, value in fault.headers.items()}
    content_type = headers.pop("content-type", JSON_TYPE if is_json else HTML if fault.body[:1] == "<" else TEXT)
    return Response(fault.body, fault.status, headers, content_type)


async def _wait(seconds: float) -> None:
    if seconds > 0:
        await anyio.sleep(seconds)


def _ignore(_response: Response) -> None:
    """An answer for a client that is gone."""
