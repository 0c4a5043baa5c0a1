"""The instruments that the settings and the environment ask for, and a host and a server with them."""

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from mcp.server.context import ServerMiddleware

from maas_mcp.calls.host import Host, open_host
from maas_mcp.calls.telemetry import Instrument
from maas_mcp.credentials.regions import LocalRegions
from maas_mcp.maas.connection import connect
from maas_mcp.operations.timing import Timing
from maas_mcp.server.app import OpenHost
from maas_mcp.settings import Settings

logger = logging.getLogger(__name__)

OTEL_VARIABLES: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
)
"""The standard variables that name a receiver of spans or metrics."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The instruments of a server."""

    instruments: tuple[Instrument, ...] = ()
    middleware: tuple[ServerMiddleware[Any], ...] = ()
    """The middleware of the MCP server."""

    def open_host(self, timing: Timing | None = None, regions: LocalRegions | None = None) -> OpenHost:
        """Return a function that opens a host with the instruments.

        Args:
            timing: The time limits of operations.
            regions: The regions of the local user; by default those of the settings.
        """
        observed = partial(connect, observers=[each.exchange for each in self.instruments])
        return partial(open_host, timing=timing, instruments=self.instruments, connect=observed, regions=regions)


def telemetry_for(
    settings: Settings, instruments: Sequence[Instrument] = (), environment: Mapping[str, str] = os.environ
) -> Telemetry:
    """Return the instruments for any transport, and these. Without any, a call costs nothing more."""
    found, middleware = list(instruments), list[ServerMiddleware[Host]]()
    if settings.log_format == "json":
        from maas_mcp.calls.log_context import LogContext  # noqa: PLC0415 - not imported unless used

        found.append(LogContext())
    if _exports(environment) and _configured():
        from maas_mcp.server.tracing import MessageDurations, Tracing  # noqa: PLC0415 - not imported unless used

        tracing = Tracing()
        found.append(tracing)
        middleware.append(MessageDurations(tracing))
    return Telemetry(tuple(found), tuple(middleware))


def _exports(environment: Mapping[str, str]) -> bool:
    """Whether spans or metrics have a receiver. ``opentelemetry-instrument`` imports the SDK before this program."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    named = [environment.get(each, "").strip() for each in OTEL_VARIABLES]
    return any(each not in {"", "none"} for each in named) or "opentelemetry.sdk.trace" in sys.modules


def _configured() -> bool:
    """Configure the export. A missing SDK is no error: the variables may be meant for other programs of the machine."""
    try:
        from maas_mcp.server.otlp import configure  # noqa: PLC0415 - an extra, and not imported unless used
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry.sdk"):
            raise
        logger.warning(
            "OTEL_* variables are set, but OpenTelemetry's SDK is not installed, so no spans and metrics are exported. "
            "Install it with `pip install 'maas-mcp-core[otel]'`, or unset the variables."
        )
        return False
    configure()
    return True
