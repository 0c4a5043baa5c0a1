"""The ASGI application: MCP behind the gate, and the health endpoints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from maas_mcp.access.configuration import HttpAccess
from maas_mcp.calls.audit_log import open_audit
from maas_mcp.calls.connections import Connections
from maas_mcp.credentials.regions import LocalRegions
from maas_mcp.operations.timing import Timing
from maas_mcp.plugins.registry import Registry
from maas_mcp.server.app import build
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.http.authentication import Authenticator
from maas_mcp.server.http.challenges import metadata_routes
from maas_mcp.server.http.gate import BodyLimits, Gate
from maas_mcp.server.http.health import Health
from maas_mcp.server.http.limits import PrincipalLimits, Usage
from maas_mcp.server.http.metrics_endpoint import MetricsEndpoint, open_metrics
from maas_mcp.server.telemetry import telemetry_for
from maas_mcp.settings import Settings

if TYPE_CHECKING:
    from maas_mcp.server.http.metrics import Metrics

MCP_PATH: Final = "/mcp"


def http_app(
    registry: Registry,
    settings: Settings,
    connections: Connections,
    hosts: Sequence[str],
    timing: Timing | None = None,
    *,
    catalogue: Catalogue | None = None,
    regions: LocalRegions | None = None,
) -> ASGIApp:
    """Build the application.

    Args:
        registry: The plugins' tools.
        settings: The settings.
        connections: The clients' connections. The runner ends their calls when it stops.
        hosts: The accepted values of the header ``Host``, such as ``127.0.0.1:*``.
        timing: The time limits of operations.
        catalogue: What the server serves, if the caller may reload it.
        regions: The regions of the local user, as which unauthenticated clients act.
    """
    catalogue = catalogue or Catalogue(registry, settings)
    usage = Usage(_principal_limits(settings))
    access = HttpAccess.from_settings(settings)
    authenticator = None if access is None else Authenticator(access, settings.anonymous_region().api_url)
    metrics = open_metrics(settings, connections, usage.open_sessions, lambda: catalogue.records)
    telemetry = telemetry_for(settings, [metrics] if metrics else [])
    health = Health(telemetry.open_host(timing, regions))
    open_routes = health.routes
    if access is not None and access.oauth is not None:
        open_routes += metadata_routes(access.oauth, MCP_PATH)
    app = build(
        registry, settings, connections, health.open_host, catalogue, middleware=telemetry.middleware
    ).streamable_http_app(
        streamable_http_path=MCP_PATH,
        max_request_body_size=settings.http_body_limit,
        session_idle_timeout=settings.http_session_idle,
        max_sessions=settings.http_sessions,
        stateless_http=settings.http_stateless,
        transport_security=TransportSecuritySettings(
            allowed_hosts=list(hosts), allowed_origins=list(settings.http_origins)
        ),
        custom_starlette_routes=open_routes,
    )
    open_paths = [route.path for route in open_routes]
    gate = Gate(
        app,
        connections,
        path=MCP_PATH,
        open_paths=open_paths,
        limits=BodyLimits(size=settings.http_body_limit),
        usage=usage,
        authenticator=authenticator,
        stateless=settings.http_stateless,
        scopes=catalogue.scopes,
        toolsets=lambda: catalogue.serving.toolsets,
        audit=open_audit(settings),
    )
    if metrics is None:
        return gate
    return _with_metrics(gate, metrics, settings, authenticator=authenticator, hosts=hosts, open_paths=open_paths)


def _with_metrics(
    app: ASGIApp,
    metrics: "Metrics",
    settings: Settings,
    *,
    authenticator: Authenticator | None,
    hosts: Sequence[str],
    open_paths: Sequence[str],
) -> ASGIApp:
    is_open = settings.http_metrics == "open"
    return MetricsEndpoint(
        app,
        metrics,
        authenticator=None if is_open else authenticator,
        hosts=() if is_open else hosts,
        uncounted=open_paths,
    )


def _principal_limits(settings: Settings) -> PrincipalLimits:
    return PrincipalLimits(
        rate=settings.http_rate,
        requests=settings.http_requests,
        sessions=settings.http_principal_sessions,
        idle=settings.http_session_idle,
    )
