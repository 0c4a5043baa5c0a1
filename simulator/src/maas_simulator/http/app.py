"""The region as an ASGI application: routing, authentication, faults and holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

import anyio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from maas_simulator.http import account_routes, region_routes
from maas_simulator.http.broken_responses import Dropped, apply_fault, replacement
from maas_simulator.http.calls import Answer, Call, Endpoint, Handler, parse_form
from maas_simulator.http.description import describe
from maas_simulator.http.endpoints import PREFIX, find
from maas_simulator.http.machine_routes import Operation
from maas_simulator.http.unsimulated import OUTSIDE_THE_API
from maas_simulator.model.auth import User
from maas_simulator.model.faults import Hold, RequestRecord
from maas_simulator.model.refusals import (
    BY_USER,
    HTML,
    PLAIN,
    Refusal,
    no_such_endpoint,
    not_simulated,
    unrecognised,
)
from maas_simulator.model.signatures import Signed
from maas_simulator.state import RegionState

MOVED = (
    "<html>\r\n<head><title>301 Moved Permanently</title></head>\r\n<body>\r\n"
    "<center><h1>301 Moved Permanently</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)
"""The response of the proxy in front of MAAS at the root."""


def create_app(region: RegionState) -> Starlette:
    """Create the ASGI application of a region, for any server or in-process transport."""
    return Starlette(routes=[Route("/{path:path}", endpoint=_RegionApp(region))])


@dataclass
class _ParsedRequest:
    """A parsed request. Its endpoint and op may not exist."""

    request: Request
    path: str
    endpoint: Endpoint | None
    parts: tuple[str, ...]
    op: str | None
    op_in_path: bool
    raw_query: str
    query: dict[str, list[str]]
    form: dict[str, list[str]]
    signed_form: str
    broken: Refusal | None
    shown: int = 0
    """How many machines the response shows."""


class _RegionApp:
    def __init__(self, region: RegionState) -> None:
        self.region = region

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.region.is_restarting:
            await Dropped()(scope, receive, send)
            return
        request = Request(scope, receive)
        arrived = self.region.schedule.clock()
        try:
            parsed = await _parse_request(request)
        except ClientDisconnect:
            return
        template = parsed.endpoint.path if parsed.endpoint else None
        record = RequestRecord(
            arrived, request.method, parsed.path, parsed.op, parsed.form, parsed.query, template=template
        )
        self.region.requests.append(record)
        response = await self._answer(parsed)
        record.status = None if isinstance(response, Dropped) else response.status_code
        await response(scope, receive, send)

    async def _answer(self, parsed: _ParsedRequest) -> Response:
        with self.region.lock:
            now = self.region.schedule.clock()
            delay, fault = self.region.faults.meet(parsed.request.method, parsed.path, parsed.op, now)
            hold = next((self.region.holds[name] for name in _hold_names(parsed) if name in self.region.holds), Hold())
        if fault is not None and not fault.carried_out:
            await _wait(delay)
            return apply_fault(fault, replacement(fault, now))
        response = await self._respond_after(hold.before + delay, parsed)
        await _wait(hold.after)
        if fault is None:
            return response
        return apply_fault(fault, response if fault.status is None else replacement(fault, now))

    async def _respond_after(self, seconds: float, parsed: _ParsedRequest) -> Response:
        """Respond after a delay. If the client disconnects meanwhile, MAAS carries out the request all the same."""
        until = self.region.schedule.clock() + seconds
        try:
            await _wait(seconds)
        except anyio.get_cancelled_exc_class():
            left = max(0.0, until - self.region.schedule.clock()) * self.region.schedule.speed
            with self.region.lock:
                self.region.play()
                self.region.schedule.after(left, lambda: _ignore(self._respond(parsed)))
            raise
        with self.region.lock:
            self.region.play()
            response = self._respond(parsed)
            busy = self._occupy_worker(parsed)
        await _wait(busy)
        return response

    def _respond(self, parsed: _ParsedRequest) -> Response:
        self.region.bmc_seconds, parsed.shown = 0.0, 0
        try:
            answer = self._handle(parsed)
        except Refusal as refusal:
            return _response(refusal.status, refusal.body, refusal.content_type, refusal.headers)
        values = answer.value if isinstance(answer.value, list) else [answer.value]
        parsed.shown = sum(isinstance(each, dict) and "interface_set" in each for each in values)
        return _response(answer.status, answer.body, answer.content_type, answer.headers)

    def _occupy_worker(self, parsed: _ParsedRequest) -> float:
        """Return how long the request takes, with the wait for a worker."""
        path, changes = parsed.endpoint.path if parsed.endpoint else "", parsed.request.method != "GET"
        costs = self.region.costs
        seconds = self.region.bmc_seconds + costs.of_request(path, changes=changes, shown=parsed.shown)
        return self.region.workers.work(self.region.schedule.clock(), seconds, costs.workers) if seconds else 0.0

    def _handle(self, parsed: _ParsedRequest) -> Answer:
        endpoint = parsed.endpoint
        if (answer := _answer_without_credentials(parsed, self.region)) is not None:
            return answer
        if endpoint is None:
            raise no_such_endpoint(parsed.path)
        user = self._user(parsed, endpoint)
        handler = _handler(parsed, endpoint)
        call = Call(
            region=self.region,
            user=user,
            method=parsed.request.method,
            path=parsed.path,
            raw_query=parsed.raw_query,
            query=parsed.query,
            form=parsed.form,
            parts=parsed.parts,
        )
        return handler(call)

    def _user(self, parsed: _ParsedRequest, endpoint: Endpoint) -> User:
        """The user of the request. Without credentials, MAAS's error depends on the endpoint."""
        request = parsed.request
        signed = Signed(request.method, str(request.url), parsed.signed_form)
        user = self.region.authenticator.user(request.headers.get("authorization"), signed)
        if user is None:
            raise unrecognised(request.method, parsed.op) if endpoint.anonymous else Refusal(401, "Forbidden", PLAIN)
        if endpoint.restricted and not user.is_superuser:
            raise Refusal(403, "User is not allowed access to this API.")
        return user


def _answer_without_credentials(parsed: _ParsedRequest, region: RegionState) -> Answer | None:
    if parsed.path == "/MAAS/":
        raise Refusal(301, MOVED, "text/html", {"Location": "/MAAS/r/"}).without_vary()
    if parsed.path == account_routes.LOGIN:
        return account_routes.authenticate(region, parsed.request.method, parsed.form)
    for path, what in OUTSIDE_THE_API.items():
        if parsed.path.startswith(path):
            raise not_simulated(what)
    if parsed.request.method != "GET":
        return None
    if parsed.path == f"{PREFIX}describe/":
        return Answer(describe(str(parsed.request.base_url).rstrip("/")), content_type="application/json")
    return region_routes.VERSION if parsed.path == f"{PREFIX}version/" else None


def _handler(parsed: _ParsedRequest, endpoint: Endpoint) -> Handler:
    """The handler of the request. MAAS checks in this order, after the credentials."""
    method = parsed.request.method
    if method not in endpoint.methods:
        raise Refusal(405, "", HTML, {"Allow": ", ".join(endpoint.methods), **BY_USER})
    if parsed.broken is not None:
        raise parsed.broken
    handler = endpoint.handlers.get((method, parsed.op))
    if handler is None:
        raise no_such_endpoint(parsed.path) if parsed.op_in_path else unrecognised(method, parsed.op)
    wanted = parsed.query.get("format", ["json"])[-1]
    if wanted != "json":
        raise Refusal(400, f"Invalid output format specified '{wanted}'.", PLAIN)
    return handler


async def _parse_request(request: Request) -> _ParsedRequest:
    path = str(request.scope["path"])
    raw_query = request.scope["query_string"].decode("latin-1")
    query = parse_qs(raw_query, keep_blank_values=True)
    form: dict[str, list[str]] = {}
    broken = None
    body = await request.body()
    content_type = request.headers.get("content-type", "")
    signed_form = body.decode("latin-1") if content_type.startswith("application/x-www-form-urlencoded") else ""
    endpoint, parts, path_op = find(path)
    op = path_op or next(iter(query.get("op", ())), None)
    try:
        form = parse_form(content_type, body, takes_json=_takes_json(request.method, endpoint, op))
    except Refusal as refusal:
        broken = refusal
    if request.method == "POST":
        op = op or next(iter(form.pop("op", ())), None)
    return _ParsedRequest(
        request, path, endpoint, parts, op, path_op is not None, raw_query, query, form, signed_form, broken
    )


def _takes_json(method: str, endpoint: Endpoint | None, op: str | None) -> bool:
    operation = endpoint.handlers.get((method, op)) if endpoint is not None else None
    return method == "PUT" or (isinstance(operation, Operation) and operation.rule.takes_json)


def _hold_names(parsed: _ParsedRequest) -> tuple[str, ...]:
    """The names that a hold can match: the op, and ``events`` or ``machines`` for reads."""
    inside = parsed.path.removeprefix(PREFIX)
    is_read = parsed.request.method == "GET" and inside.startswith(("events/", "machines/"))
    return (parsed.op or "", inside.partition("/")[0] if is_read else "")


def _response(status: int, body: str | bytes, content_type: str, headers: Mapping[str, str]) -> Response:
    """Build a response with its exact content type: Starlette would add a charset to a media type."""
    response = Response(body, status, {"Content-Type": content_type, **headers})
    if "Transfer-Encoding" in headers:
        del response.headers["Content-Length"]
    return response


async def _wait(seconds: float) -> None:
    if seconds > 0:
        await anyio.sleep(seconds)


def _ignore(_response: Response) -> None:
    """Drop a response whose client has disconnected."""
