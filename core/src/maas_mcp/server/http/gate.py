"""The gate in front of MCP: authenticates and limits each HTTP request, and assigns it to a connection.

The SDK cancels a handler in the same way for every reason. The gate therefore announces the reason before the SDK acts.
A client's own cancellation may make MAAS abort an operation; a lost connection never does.
"""

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from weakref import WeakValueDictionary

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from maas_mcp.access.trusted_proxy import KEY_HEADER, SECRET_HEADER
from maas_mcp.calls.audit_log import AuditLog
from maas_mcp.calls.audited_call import record_refusal
from maas_mcp.calls.connections import Connection, Connections
from maas_mcp.calls.principal import LOCAL, Principal, Scope
from maas_mcp.errors import InsufficientScopeError
from maas_mcp.server.http.authentication import CREDENTIALS, Authenticator, untrusted_key
from maas_mcp.server.http.limits import Usage
from maas_mcp.server.http.narrowing_headers import NARROWING_HEADERS, read_selection
from maas_mcp.server.http.refusals import Refusal
from maas_mcp.server.narrowing import SELECTION
from maas_mcp.server.operation_tools import CancelOperation
from maas_mcp.server.request_context import CONNECTION
from maas_mcp.server.task_wire import operation_name

SINGLE_HEADERS: Final = (
    "authorization",
    "host",
    "mcp-method",
    "mcp-name",
    MCP_PROTOCOL_VERSION_HEADER,
    MCP_SESSION_ID_HEADER,
    "origin",
    KEY_HEADER,
    SECRET_HEADER,
    *(each.lower() for each in NARROWING_HEADERS),
)
"""Headers that may be sent only once. If there were two, a proxy and this server might each use a different one."""
CANCELLED: Final = b"notifications/cancelled"


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The limits for the body of a request."""

    size: int = 4 * 1024 * 1024
    """Maximum bytes."""
    seconds: float = 30.0
    """Maximum seconds until the body has arrived."""


class Gate:
    """ASGI middleware that checks every request, except those to the health endpoints.

    Args:
        app: The SDK's application.
        path: The path of MCP. Requests to other paths are refused.
        open_paths: The paths that need no authentication.
        connections: The server's connections.
        limits: The limits for request bodies.
        usage: Counts and limits the requests and sessions of each principal.
        authenticator: Authenticates requests; ``None`` if every caller is the local user.
        scopes: The scope that each tool needs, by the name of the tool.
        toolsets: Returns the names of all toolsets.
        audit: Records calls that are refused because they need another scope.
        stateless: Whether there are no sessions. A session id that a client sends is then ignored.
    """

    def __init__(
        self,
        app: ASGIApp,
        connections: Connections,
        *,
        path: str,
        open_paths: Collection[str],
        limits: BodyLimits,
        usage: Usage,
        authenticator: Authenticator | None = None,
        scopes: Mapping[str, Scope] = MappingProxyType({}),
        toolsets: Callable[[], Collection[str]] = frozenset,
        stateless: bool = False,
        audit: AuditLog | None = None,
    ) -> None:
        self._app = app
        self._path = path
        self._open_paths = open_paths
        self._connections = connections
        self._limits = limits
        self._usage = usage
        self._authenticator = authenticator
        self._scopes = scopes
        self._toolsets = toolsets
        self._audit = audit
        self._stateless = stateless
        self._sessions: WeakValueDictionary[tuple[str, str], Connection] = WeakValueDictionary()
        """The connection of each session with a running call, by the principal's name and the session id."""

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            async with nullcontext() if self._authenticator is None else self._authenticator.running():
                await self._app(scope, receive, send)
            return
        if scope.get("path") in self._open_paths:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_path(scope)
            _check_headers(headers)
            principal = await self._principal(scope, headers)
            scope = {**scope, SELECTION: read_selection(headers, self._toolsets())}
            with self._usage.request(principal.name):
                body = await _read_body(receive, headers, self._limits) if scope["method"] == "POST" else b""
                await self._check_scope(principal, body)
                await self._pass_on(_Request(scope, headers, body, principal), receive, send)
        except Refusal as refusal:
            await refusal.response(scope, receive, send)

    def _check_path(self, scope: AsgiScope) -> None:
        # The router behind the gate is more lenient: it takes "/mcp\n" for "/mcp".
        if scope["path"] != self._path:
            raise Refusal(404, "This path does not exist.", f"MCP is served at {self._path}.")

    async def _principal(self, scope: AsgiScope, headers: Headers) -> Principal:
        if self._authenticator is None:
            if KEY_HEADER in headers:
                raise untrusted_key()  # ignoring it would use MAAS_API_KEY, with another user's permissions
            return LOCAL
        client = scope.get("client")
        return await self._authenticator.principal(headers, client[0] if client else None)

    async def _pass_on(self, request: "_Request", receive: Receive, send: Send) -> None:
        name, session_id = request.principal.name, None if self._stateless else request.session_id
        if session_id is None and request.is_legacy:
            self._usage.check_new_session(name)  # only a request that opens a session has no id
        connection = self._connection(session_id, request.principal)
        if session_id is not None and CANCELLED in request.body:
            _announce_cancellation(request.body, connection)
        kept = [(name, value) for name, value in request.scope["headers"] if name not in CREDENTIALS]
        passed = {**request.scope, "headers": kept, CONNECTION: connection}
        if self._authenticator is not None:  # the SDK binds a session to the user who opened it
            passed["user"] = AuthenticatedUser(AccessToken(token="", client_id=name, scopes=[]))

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                used = session_id or Headers(raw=message["headers"]).get(MCP_SESSION_ID_HEADER)
                if used is not None and (request.is_end or message["status"] == HTTPStatus.NOT_FOUND):
                    self._usage.session_closed(name, used)
                elif used is not None and message["status"] < HTTPStatus.BAD_REQUEST:  # else it may be made up
                    self._usage.session_used(name, used)
            await send(message)

        # A session outlives the streams of its requests. Without a session, a call ends with its stream.
        on_disconnect = connection if session_id is None else None
        await self._app(passed, _Replay(request.body, receive, on_disconnect), note)

    def _connection(self, session_id: str | None, principal: Principal) -> Connection:
        if session_id is None:
            return self._connections.connect(principal)
        key = (principal.name, session_id)
        connection = self._sessions.get(key)
        # The token's scopes or the principal's API key may have changed since.
        if connection is None or connection.principal != principal:
            connection = self._connections.connect(principal)
        self._sessions[key] = connection
        return connection

    async def _check_scope(self, principal: Principal, body: bytes) -> None:
        """Raise a :class:`Refusal` if the principal lacks the scope that a request needs, and record a refused change.

        A request that names no known tool changes nothing.
        """
        if self._authenticator is None:
            return
        tool, arguments = _called(body)
        needed = self._scopes.get(tool, Scope.READ)
        if principal.may(needed):
            return
        if self._audit is not None and needed is not Scope.READ:
            await record_refusal(self._audit, principal.name, tool, arguments, InsufficientScopeError.code)
        raise self._authenticator.challenges.missing_scope(needed)


@dataclass(frozen=True, slots=True)
class _Request:
    """An authenticated request with its complete body."""

    scope: AsgiScope
    headers: Headers
    body: bytes
    principal: Principal

    @property
    def is_legacy(self) -> bool:
        """Whether its protocol revision is before 2026-07-28. The SDK decides by the same header."""
        revision = self.headers.get(MCP_PROTOCOL_VERSION_HEADER)
        return revision is None or revision in HANDSHAKE_PROTOCOL_VERSIONS

    @property
    def session_id(self) -> str | None:
        """The id of its session, if any."""
        return self.headers.get(MCP_SESSION_ID_HEADER) if self.is_legacy else None

    @property
    def is_end(self) -> bool:
        """Whether it closes its session."""
        return bool(self.scope["method"] == "DELETE")


class _Replay:
    """A ``receive`` for a request whose body was already read."""

    def __init__(self, body: bytes, receive: Receive, on_disconnect: Connection | None) -> None:
        self._body: bytes | None = body
        self._receive = receive
        self._on_disconnect = on_disconnect

    async def __call__(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._on_disconnect is not None:
            self._on_disconnect.announce_lost()
        return message


def _check_headers(headers: Headers) -> None:
    """Raise a :class:`Refusal` if a proxy and this server could read the headers in different ways."""
    for name in SINGLE_HEADERS:
        if len(headers.getlist(name)) > 1:
            raise Refusal(400, f"The header {name} was sent more than once.", "Send it once.")
    if "transfer-encoding" in headers and "content-length" in headers:
        # RFC 9112, section 6.1: a proxy that uses the other one sees another end of the request.
        raise Refusal(400, "The request has both Transfer-Encoding and Content-Length.", "Send one of them.")


async def _read_body(receive: Receive, headers: Headers, limits: BodyLimits) -> bytes:
    """Read the complete body.

    Raises:
        Refusal: It is too large, or does not arrive in time.
    """
    too_large = Refusal(413, f"The request body has more than {limits.size:,} bytes.", "Send a smaller request.")
    declared = headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.size:
        raise too_large
    body = bytearray()
    with anyio.move_on_after(limits.seconds):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal(
                    400, "The client closed the connection before the request was complete.", "Send it again."
                )
            body += message.get("body", b"")
            if len(body) > limits.size:
                raise too_large
            if not message.get("more_body", False):
                return bytes(body)
    raise Refusal(408, f"The request body did not arrive within {limits.seconds:g} s.", "Send it again.")


def _parsed(body: bytes) -> object:
    """The JSON in a body; ``None`` if there is none. Every body counts that one of the SDK's two parsers reads.

    The slower one also takes other encodings, halves of surrogate pairs and deeper nesting.
    """
    try:
        return from_json(body)
    except ValueError:
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _called(body: bytes) -> tuple[str, object]:
    """The tool that a request calls, or that does the same as the request, and its arguments.

    The operation in a task id is not verified yet. A forged id is refused when it is opened.
    """
    message = _parsed(body)
    if not isinstance(message, dict) or not isinstance(params := message.get("params"), dict):
        return "", {}
    match message.get("method"), params.get("name"), params.get("taskId"):
        case "tools/call", str(tool), _:
            return tool, params.get("arguments")
        case "tasks/cancel", _, task_id:
            return CancelOperation.name, {"operation_id": task_id}
        case "tasks/update", _, str(task_id):
            return operation_name(task_id), {"operation_id": task_id}
    return "", {}


def _announce_cancellation(body: bytes, connection: Connection) -> None:
    """Announce the client's cancellation of a call, if the body contains one, before the SDK handles it."""
    message = _parsed(body)
    if isinstance(message, dict) and message.get("method") == CANCELLED.decode() and "id" not in message:
        params = message.get("params")
        request_id = cancelled_request_id_from_params(params if isinstance(params, dict) else None)
        if request_id is not None:
            connection.announce_client_cancel(coerce_request_id(request_id))
