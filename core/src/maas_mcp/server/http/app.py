"""The ASGI application: MCP behind the gate, and two pages for those who operate the server."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import anyio
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from maas_mcp.access.keys import KeyFile
from maas_mcp.access.tokens import TokenFile
from maas_mcp.calls.change_stream import Observer
from maas_mcp.calls.connections import Connections
from maas_mcp.calls.host import Host, open_host
from maas_mcp.calls.principal import required_scope
from maas_mcp.errors import MaasMcpError
from maas_mcp.operations.timing import Timing
from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.server.app import build, served_tools
from maas_mcp.server.http.authentication import Authenticator
from maas_mcp.server.http.gate import BodyLimits, Gate
from maas_mcp.server.http.limits import PrincipalLimits, Usage
from maas_mcp.settings import Settings

MCP_PATH: Final = "/mcp"
READY_FOR: Final = 5.0
"""Seconds that an answer of MAAS counts for: probes of many proxies must not become load on MAAS."""


@dataclass(eq=False)
class _Readiness:
    """Whether MAAS answers."""

    host: Host | None = None
    _checked_at: float = float("-inf")
    _problem: str | None = None
    _checking: anyio.Lock = field(default_factory=anyio.Lock)

    async def problem(self) -> str | None:
        """Why the server cannot do its work, if it cannot."""
        if self.host is None:
            return "the server is starting or stopping"
        async with self._checking:
            if anyio.current_time() >= self._checked_at + READY_FOR:
                try:
                    async with self.host.tenant() as tenant:
                        await tenant.maas.once().version()
                    self._problem = None
                except MaasMcpError as error:
                    self._problem = error.message
                self._checked_at = anyio.current_time()
        return self._problem


def http_app(
    registry: Registry,
    settings: Settings,
    connections: Connections,
    hosts: Sequence[str],
    timing: Timing | None = None,
) -> ASGIApp:
    """The application.

    Args:
        registry: The plugins' tools.
        settings: The settings.
        connections: The clients' connections; the runner ends their calls at the end.
        hosts: The values of the header ``Host`` that are accepted, such as ``127.0.0.1:*``.
        timing: How long operations wait for what.
    """
    readiness = _Readiness()

    @asynccontextmanager
    async def noted(
        settings: Settings, tools: Mapping[str, AnyTool], connections: Connections, observers: Sequence[Observer]
    ) -> AsyncIterator[Host]:
        async with open_host(settings, tools, connections, observers, timing=timing) as host:
            readiness.host = host
            try:
                yield host
            finally:
                readiness.host = None

    async def healthz(_request: Request) -> JSONResponse:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> JSONResponse:
        """MAAS answers, too."""
        problem = await readiness.problem()
        return JSONResponse(
            {"status": "ok"} if problem is None else {"status": "unavailable", "problem": problem},
            200 if problem is None else 503,
        )

    server = build(registry, settings, connections, noted)
    app = server.streamable_http_app(
        streamable_http_path=MCP_PATH,
        max_request_body_size=settings.http_body_limit,
        session_idle_timeout=settings.http_session_idle,
        max_sessions=settings.http_sessions,
        transport_security=TransportSecuritySettings(
            allowed_hosts=list(hosts), allowed_origins=list(settings.http_origins)
        ),
        custom_starlette_routes=[Route("/healthz", healthz), Route("/readyz", readyz)],
    )
    return Gate(
        app,
        MCP_PATH,
        connections,
        BodyLimits(size=settings.http_body_limit),
        Usage(
            PrincipalLimits(
                rate=settings.http_rate,
                requests=settings.http_requests,
                sessions=settings.http_principal_sessions,
                idle=settings.http_session_idle,
            )
        ),
        authenticator=_authenticator(settings),
        scopes={name: required_scope(tool) for name, tool in served_tools(registry).items()},
    )


def _authenticator(settings: Settings) -> Authenticator | None:
    if settings.http_tokens is None or settings.http_keys is None:
        return None
    return Authenticator(TokenFile(settings.http_tokens), KeyFile(settings.http_keys))
