"""Exports OpenTelemetry spans and metrics as the standard ``OTEL_*`` variables say."""

import logging
import os
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from maas_mcp import __version__

logger = logging.getLogger(__name__)

PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
NONE: Final = "none"


def configure() -> None:
    """Set the global providers, unless ``opentelemetry-instrument`` or a plugin has set them."""
    resource = Resource.create(_resource_attributes())
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        tracers = TracerProvider(resource=resource)
        for exporter in _exporters("traces"):
            tracers.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(tracers)
    if not isinstance(metrics.get_meter_provider(), MeterProvider):
        readers = [PeriodicExportingMetricReader(exporter) for exporter in _exporters("metrics")]
        metrics.set_meter_provider(MeterProvider(readers, resource=resource))


def _resource_attributes() -> dict[str, str]:
    """The attributes that the environment does not set. It would lose against them."""
    named = os.environ.get("OTEL_SERVICE_NAME") or f"{SERVICE_NAME}=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return {SERVICE_VERSION: __version__, **({} if named else {SERVICE_NAME: "maas-mcp"})}


def _exporters(signal: str) -> Iterator[Any]:
    """The exporters of a signal, ``traces`` or ``metrics``: by default OTLP over HTTP."""
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or os.environ.get(PROTOCOL) or ""
    otlp = "otlp_proto_grpc" if protocol.strip() == "grpc" else "otlp_proto_http"
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    for name in (os.environ.get(variable) or "otlp").split(","):
        if name.strip() == NONE:
            continue
        wanted = otlp if name.strip() == "otlp" else name.strip()
        found = entry_points(group=f"opentelemetry_{signal}_exporter", name=wanted)
        if not found:
            logger.warning("%s: the exporter %s is not installed, so no %s are exported", variable, wanted, signal)
        yield from (each.load()() for each in found)
