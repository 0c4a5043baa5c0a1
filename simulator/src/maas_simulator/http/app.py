"""The region as an ASGI application: routing, authentication, faults and holds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, quote

import anyio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from maas_simulator.http import account_routes
from maas_simulator.http.broken_responses import Cut, apply_fault, replacement
from maas_simulator.http.calls import Answer, Call, Endpoint, Handler, as_form, parse_body
from maas_simulator.http.description import describe
from maas_simulator.http.endpoints import PREFIX, find
from maas_simulator.http.machine_routes import Operation
from maas_simulator.http.unsimulated import OUTSIDE_THE_API
from maas_simulator.model.auth import NOBODY, Signed, User
from maas_simulator.model.costs import cost
from maas_simulator.model.faults import RequestRecord
from maas_simulator.model.refusals import (
    BY_USER,
    HTML,
    PLAIN,
    Refusal,
    no_such_endpoint,
    not_simulated,
    unrecognised,
)
from maas_simulator.state import RegionState

LONGEST_LINE: Final = 8192
"""The longest request line and header in bytes that the proxy in front of MAAS accepts."""


def create_app(region: RegionState) -> Starlette:
    """Create the ASGI application of a region, for any server or in-process transport."""
    return Starlette(routes=[Route("/{path:path}", endpoint=_RegionApp(region))])


@dataclass
class _ParsedRequest:
    """A parsed request. Its endpoint and op may not exist."""

    request: Request
    call: Call
    """Without the user."""
    endpoint: Endpoint | None
    op: str | None
    path_op: str | None
    signed: Signed
    broken: Refusal | None
    shown: int = 0
    """How many machines the response shows."""


class _RegionApp:
    def __init__(self, region: RegionState) -> None:
        self.region = region

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.region.is_restarting:
            await Cut()(scope, receive, send)
            return
        request = Request(scope, receive)
        arrived = self.region.schedule.clock()
        try:
            parsed = await _parse_request(self.region, request)
        except ClientDisconnect:
            return
        call, template = parsed.call, parsed.endpoint.path if parsed.endpoint else None
        record = RequestRecord(arrived, call.method, call.path, parsed.op, call.form, call.query, template=template)
        self.region.requests.append(record)
        response = await self._answer(parsed)
        is_dropped = isinstance(response, Cut) and response.where == "before"
        record.status = None if is_dropped else response.status_code
        await response(scope, receive, send)

    async def _answer(self, parsed: _ParsedRequest) -> Response:
        with self.region.lock:
            now = self.region.schedule.clock()
            delay, fault = self.region.faults.meet(parsed.call.method, parsed.call.path, parsed.op, now)
            hold = next((self.region.holds[name] for name in _hold_names(parsed) if name in self.region.holds), None)
            before, after = (hold.before, hold.after) if hold else (0.0, 0.0)
        if fault is not None and not fault.carried_out:
            await _wait(delay)
            return apply_fault(fault, replacement(fault, now))
        response = await self._respond_after(before + delay, parsed)
        await _wait(after)
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
        path, changes = parsed.endpoint.path if parsed.endpoint else "", parsed.call.method != "GET"
        costs = self.region.costs
        seconds = self.region.bmc_seconds + cost(costs, path, changes=changes, shown=parsed.shown)
        return self.region.workers.work(self.region.schedule.clock(), seconds, costs.workers) if seconds else 0.0

    def _handle(self, parsed: _ParsedRequest) -> Answer:
        endpoint, request, path = parsed.endpoint, parsed.request, parsed.call.path
        if len(request.method + request.scope["raw_path"].decode() + parsed.call.raw_query) + 11 > LONGEST_LINE:
            raise _proxy_answer(HTTPStatus.REQUEST_URI_TOO_LONG, "Request-URI Too Large")
        if any(len(name) + len(value) + 4 > LONGEST_LINE for name, value in request.scope["headers"]):
            raise _proxy_answer(HTTPStatus.BAD_REQUEST, "Bad Request", reason="Request Header Or Cookie Too Large")
        if not path.startswith(PREFIX):
            return _answer_outside_the_api(parsed.call)
        if (request.method, path) == ("GET", f"{PREFIX}describe/"):
            return Answer(describe(str(request.base_url).rstrip("/")), content_type="application/json")
        if endpoint is None:
            raise no_such_endpoint(path)
        user = NOBODY if endpoint.is_open else self._user(parsed, endpoint)
        return _handler(parsed, endpoint, user)(replace(parsed.call, user=user))

    def _user(self, parsed: _ParsedRequest, endpoint: Endpoint) -> User:
        """The user of the request. Without credentials, MAAS's error depends on the endpoint."""
        user = self.region.authenticator.user(parsed.request.headers.get("authorization"), parsed.signed)
        if user is None and not endpoint.anonymous:
            raise Refusal(401, "Forbidden", PLAIN)
        if user is not None and endpoint.restricted and not user.is_superuser:
            raise Refusal(403, "User is not allowed access to this API.")
        return user or NOBODY


def _answer_outside_the_api(call: Call) -> Answer:
    """Answer like MAAS's web interface, or like the proxy in front of MAAS."""
    path = call.path
    if path == account_routes.LOGIN:
        return account_routes.authenticate(call)
    for prefix, what in OUTSIDE_THE_API.items():
        if path.startswith(prefix):
            raise not_simulated(what)
    if path == "/MAAS/":
        raise _proxy_answer(HTTPStatus.MOVED_PERMANENTLY, "Moved Permanently", {"Location": "/MAAS/r/"})
    if not path.startswith("/MAAS/"):
        raise _proxy_answer(HTTPStatus.NOT_FOUND, "Not Found")
    if path == "/MAAS/metrics":
        raise Refusal(404, "", HTML).without_vary()
    if path.startswith("/MAAS/api/1.0/"):
        raise Refusal(410, "The 1.0 API is no longer available. Please use API version 2.0.", PLAIN)
    raise Refusal(302, "", HTML, {"Location": f"/MAAS/?next={quote(path, safe='')}"})


def _proxy_answer(status: int, title: str, headers: Mapping[str, str] | None = None, reason: str = "") -> Refusal:
    """Build a response of the proxy in front of MAAS."""
    detail = f"<center>{reason}</center>\r\n" if reason else ""
    lines = "\r\n".join(
        (
            f"<html>\r\n<head><title>{status:d} {reason or title}</title></head>\r\n<body>",
            f"<center><h1>{status:d} {title}</h1></center>",
            f"{detail}<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n",
        )
    )
    return Refusal(status, lines, "text/html", headers).without_vary()


def _handler(parsed: _ParsedRequest, endpoint: Endpoint, user: User) -> Handler:
    """The handler of the request. MAAS checks in this order, after the credentials."""
    method, path = parsed.call.method, parsed.call.path
    known = endpoint.anonymous if user is NOBODY and endpoint.anonymous else endpoint.handlers
    methods = sorted({each for each, _ in known})
    if method not in methods:
        vary = {"Vary": "Authorization"} if endpoint.is_open else BY_USER
        raise Refusal(405, "", HTML, {"Allow": ", ".join(methods), **vary})
    if parsed.broken is not None:
        raise parsed.broken
    key = (method, parsed.op)
    in_path = parsed.path_op is not None
    if key not in known or (in_path and (method, parsed.path_op) not in known):
        refusal = no_such_endpoint(path) if in_path else unrecognised(method, parsed.op)
        raise refusal.without_vary() if endpoint.is_open else refusal
    wanted = parsed.call.query.get("format", ["json"])[-1]
    if wanted != "json":
        raise Refusal(400, f"Invalid output format specified '{wanted}'.", PLAIN)
    return endpoint.handlers[key]


async def _parse_request(region: RegionState, request: Request) -> _ParsedRequest:
    # MAAS ignores repeated slashes; it does not resolve dot segments.
    method, path = request.method, re.sub("//+", "/", str(request.scope["path"]))
    raw_query = request.scope["query_string"].decode("latin-1")
    query = parse_qs(raw_query, keep_blank_values=True)
    form: dict[str, list[str]] = {}
    data: object = None
    broken = None
    body = await request.body()
    endpoint, parts, path_op = find(path)
    op = query.get("op", [""])[-1] or path_op  # MAAS carries out the one in the query.
    try:
        form, data = parse_body(request.headers.get("content-type", ""), body)
        if data is not form and _takes_json(method, endpoint, op):
            form = as_form(data)
    except Refusal as refusal:
        broken = refusal
    posted = form if method == "POST" and data is form else {}
    parameters = {name: values[-1] for name, values in (*posted.items(), *query.items())}
    if method == "POST" and op is None and "op" in form:
        op = form["op"][-1] or None
        form = data = {name: values for name, values in form.items() if name != "op"}
    call = Call(region, NOBODY, method, path, raw_query, query, form, parts, data)
    return _ParsedRequest(request, call, endpoint, op, path_op, Signed(method, str(request.url), parameters), broken)


def _takes_json(method: str, endpoint: Endpoint | None, op: str | None) -> bool:
    operation = endpoint.handlers.get((method, op)) if endpoint is not None else None
    return method == "PUT" or (isinstance(operation, Operation) and operation.rule.takes_json)


def _hold_names(parsed: _ParsedRequest) -> tuple[str, ...]:
    """The names that a hold can match: the op, and ``events`` or ``machines`` for reads."""
    inside = parsed.call.path.removeprefix(PREFIX)
    is_read = parsed.call.method == "GET" and inside.startswith(("events/", "machines/"))
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
