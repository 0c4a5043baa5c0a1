"""The ASGI application: MCP behind the gate, and the health endpoints."""

from collections.abc import Sequence
from typing import Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from maas_mcp.access.configuration import HttpAccess
from maas_mcp.calls.connections import Connections
from maas_mcp.calls.principal import required_scope
from maas_mcp.operations.timing import Timing
from maas_mcp.plugins.registry import Registry
from maas_mcp.server.app import build, served_tools
from maas_mcp.server.http.authentication import Authenticator
from maas_mcp.server.http.challenges import metadata_routes
from maas_mcp.server.http.gate import BodyLimits, Gate
from maas_mcp.server.http.health import Health
from maas_mcp.server.http.limits import PrincipalLimits, Usage
from maas_mcp.settings import Settings

MCP_PATH: Final = "/mcp"


def http_app(
    registry: Registry,
    settings: Settings,
    connections: Connections,
    hosts: Sequence[str],
    timing: Timing | None = None,
) -> ASGIApp:
    """Build the application.

    Args:
        registry: The plugins' tools.
        settings: The settings.
        connections: The clients' connections. The runner ends their calls when it stops.
        hosts: The accepted values of the header ``Host``, such as ``127.0.0.1:*``.
        timing: The time limits of operations.
    """
    health = Health(timing)
    access = HttpAccess.from_settings(settings)
    open_routes = health.routes
    if access is not None and access.oauth is not None:
        open_routes += metadata_routes(access.oauth, MCP_PATH)
    app = build(registry, settings, connections, health.open_host).streamable_http_app(
        streamable_http_path=MCP_PATH,
        max_request_body_size=settings.http_body_limit,
        session_idle_timeout=settings.http_session_idle,
        max_sessions=settings.http_sessions,
        transport_security=TransportSecuritySettings(
            allowed_hosts=list(hosts), allowed_origins=list(settings.http_origins)
        ),
        custom_starlette_routes=open_routes,
    )
    return Gate(
        app,
        connections,
        path=MCP_PATH,
        open_paths=[route.path for route in open_routes],
        limits=BodyLimits(size=settings.http_body_limit),
        usage=Usage(_principal_limits(settings)),
        authenticator=None if access is None else Authenticator(access, settings.anonymous_region().api_url),
        scopes={name: required_scope(tool) for name, tool in served_tools(registry).items()},
    )


def _principal_limits(settings: Settings) -> PrincipalLimits:
    return PrincipalLimits(
        rate=settings.http_rate,
        requests=settings.http_requests,
        sessions=settings.http_principal_sessions,
        idle=settings.http_session_idle,
    )
