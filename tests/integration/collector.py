"""A collector of OpenTelemetry on loopback, which keeps the spans and metrics that a server sends to it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class ReceivedSpan:
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    failed: bool


def attributes_of(described: Any) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value") for each in described.attributes
    }


@dataclass
class Collector:
    """The spans and metrics received so far."""

    url: str = ""
    spans: list[ReceivedSpan] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)
    counts: dict[tuple[str, tuple[tuple[str, Any], ...]], int] = field(default_factory=dict)
    """The latest count of each histogram's series, by its name and sorted attributes."""
    bodies: list[bytes] = field(default_factory=list)
    """Everything received, as it was sent."""

    def take_spans(self, body: bytes) -> None:
        for each in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = attributes_of(each.resource)
            for span in (span for scope in each.scope_spans for span in scope.spans):
                self.spans.append(
                    ReceivedSpan(
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        attributes_of(span),
                        span.status.code == 2,
                    )
                )

    def take_metrics(self, body: bytes) -> None:
        for each in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in (metric for scope in each.scope_metrics for metric in scope.metrics):
                for point in metric.histogram.data_points:
                    self.counts[metric.name, tuple(sorted(attributes_of(point).items()))] = point.count

    def count(self, name: str, **attributes: Any) -> int:
        """The number of values of a histogram with these attributes, in which ``__`` stands for a dot."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        return sum(
            count
            for (key, given), count in self.counts.items()
            if key == name and wanted.items() <= dict(given).items()
        )

    def children(self, span: ReceivedSpan) -> list[ReceivedSpan]:
        return [each for each in self.spans if each.parent == span.id]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A running collector."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.bodies.append(body)
            {"/v1/traces": collector.take_spans, "/v1/metrics": collector.take_metrics}[self.path](body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield collector
        finally:
            server.shutdown()
