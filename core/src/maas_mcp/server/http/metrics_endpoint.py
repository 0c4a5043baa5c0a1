"""The endpoint ``/metrics``: who may read it, and the count of refused requests."""

from collections.abc import Callable, Collection, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from maas_mcp.calls.connections import Connections
from maas_mcp.calls.principal import Scope
from maas_mcp.errors import SettingsError
from maas_mcp.plugins.registry import PluginRecord
from maas_mcp.server.http.authentication import Authenticator
from maas_mcp.server.http.refusals import Refusal
from maas_mcp.settings import Settings

if TYPE_CHECKING:
    from maas_mcp.server.http.metrics import Metrics

METRICS_PATH: Final = "/metrics"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's text format, which every collector of metrics reads."""


class MetricsEndpoint:
    """ASGI middleware around the whole application that serves ``/metrics`` and counts error responses.

    Args:
        app: The application.
        metrics: The metrics.
        authenticator: Authenticates requests for the metrics; ``None`` to serve them without a token.
        hosts: The accepted values of the header ``Host`` for requests without a token; empty for any. A web page could
            otherwise read the metrics of a server on the same machine by DNS rebinding.
        uncounted: Paths whose error responses are not counted.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: "Metrics",
        *,
        authenticator: Authenticator | None,
        hosts: Sequence[str] = (),
        uncounted: Collection[str] = (),
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._authenticator = authenticator
        self._uncounted = uncounted
        self._hosts = TransportSecurityMiddleware(
            TransportSecuritySettings(enable_dns_rebinding_protection=bool(hosts), allowed_hosts=list(hosts))
        )

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve the metrics, or pass the request on."""
        if scope["type"] != "http" or scope["path"] in self._uncounted:
            await self._app(scope, receive, send)
            return

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
                self._metrics.refused(message["status"])
            await send(message)

        if scope["path"] == METRICS_PATH:
            await (await self._response(Request(scope)))(scope, receive, count)
        else:
            await self._app(scope, receive, count)

    async def _response(self, request: Request) -> Response:
        try:
            if self._authenticator is not None:
                await self._authenticator.check_scope(request.headers, Scope.READ)
            elif refusal := await self._hosts.validate_request(request):
                return refusal
        except Refusal as refused:
            return refused.response
        if request.method not in {"GET", "HEAD"}:
            return Refusal(405, "The metrics can only be read.", "Use GET.", {"Allow": "GET, HEAD"}).response
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


def open_metrics(
    settings: Settings,
    connections: Connections,
    open_sessions: Callable[[], int],
    plugins: Callable[[], Sequence[PluginRecord]],
) -> "Metrics | None":
    """Return the metrics of a server; ``None`` if the settings turn them off, or the extra is missing and unasked for.

    Args:
        settings: The settings.
        connections: The clients' connections.
        open_sessions: Returns the number of open sessions.
        plugins: Returns the states of the plugins.

    Raises:
        SettingsError: The settings ask for metrics, and the package is not installed.
    """
    if settings.http_metrics == "off":
        return None
    try:
        from maas_mcp.server.http.metrics import Metrics, MetricsSources  # noqa: PLC0415 - an extra, and not imported unless used
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        if settings.http_metrics is None:
            return None
        missing = "prometheus-client"
    else:
        return Metrics(MetricsSources(connections, open_sessions, plugins))
    raise SettingsError(
        f"MAAS_MCP_HTTP_METRICS is {settings.http_metrics}, but {missing} is not installed.",
        hint="Install it with `pip install 'maas-mcp-core[metrics]'`, or unset the variable.",
    )
