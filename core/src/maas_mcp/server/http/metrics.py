"""Prometheus metrics of a server: the instruments, and their values as text."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from maas_mcp import __version__
from maas_mcp.calls.connections import Connections
from maas_mcp.calls.telemetry import CANCELLED, Instrument, ObservedCall
from maas_mcp.errors import MaasError
from maas_mcp.maas.observer import Exchange
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.operation_change import ChangeKind, OperationChange
from maas_mcp.plugins.registry import PluginRecord

NAMESPACE: Final = "maas_mcp"
CALL_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
"""Seconds. A call that follows an operation lasts as long as the operation."""
OPERATION_BUCKETS: Final = (30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0, 7200.0, 14_400.0)
"""Seconds. Most operations take between five minutes and an hour."""
REQUEST_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds. MAAS may answer a change only after minutes."""
NO_RESPONSE: Final = "none"
"""The status of a request to MAAS without a response."""


@dataclass(frozen=True, slots=True)
class MetricsSources:
    """The state of the server that a scrape reads."""

    connections: Connections
    open_sessions: Callable[[], int]
    plugins: Callable[[], Sequence[PluginRecord]]


class Metrics(Instrument):
    """The metrics of one server, in a registry of their own.

    Args:
        sources: The state of the server.
        now: Returns the Unix time.
    """

    def __init__(self, sources: MetricsSources, now: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self._now = now
        self._calls = self._counter("calls", "Calls of tools that have ended.", "tool", "outcome")
        self._call_seconds = self._histogram("call_duration_seconds", "Duration of calls.", CALL_BUCKETS, "tool")
        self._started = self._counter("operations_started", "Operations started by this process.", "operation")
        self._ended = self._counter(
            "operations_ended", "Operations whose end this process has seen.", "operation", "state"
        )
        self._operation_seconds = self._histogram(
            "operation_duration_seconds",
            "Time from the start of an operation to its end.",
            OPERATION_BUCKETS,
            "operation",
            "state",
        )
        self._requests = self._counter(
            "region_requests", "HTTP requests to MAAS, each attempt counted.", "method", "endpoint", "status"
        )
        self._request_seconds = self._histogram(
            "region_request_duration_seconds",
            "Duration of HTTP requests to MAAS, without the wait for a slot.",
            REQUEST_BUCKETS,
            "method",
            "endpoint",
        )
        self._polls = self._counter("watcher_polls", "Polls of the watchers, which follow operations.", "outcome")
        self._refused = self._counter("http_refused_requests", "HTTP requests answered with an error.", "status")
        self.registry.register(_State(sources))
        ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)

    def refused(self, status: int) -> None:
        """Count an HTTP response with an error status."""
        self._refused.labels(status).inc()

    @contextmanager
    def call(self, call: ObservedCall, /) -> Iterator[None]:
        """Count and time a call."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._calls.labels(call.tool, call.outcome).inc()
            self._call_seconds.labels(call.tool).observe(time.monotonic() - began)

    def operation_changed(self, change: OperationChange, /) -> None:
        """Count starts and ends of operations."""
        if change.kind is ChangeKind.STARTED:
            self._started.labels(change.operation).inc()
        elif change.kind is ChangeKind.ENDED:
            self._ended.labels(change.operation, change.state).inc()
            seconds = max(0.0, self._now() - change.started)
            self._operation_seconds.labels(change.operation, change.state).observe(seconds)

    @contextmanager
    def exchange(self, exchange: Exchange, /) -> Iterator[None]:
        """Count and time a request to MAAS."""
        began, failure = time.monotonic(), NO_RESPONSE
        try:
            yield
        except BaseException as error:
            failure = CANCELLED if is_cancellation(error) else NO_RESPONSE
            raise
        finally:
            status = failure if exchange.status is None else exchange.status
            self._requests.labels(exchange.method, exchange.endpoint, status).inc()
            self._request_seconds.labels(exchange.method, exchange.endpoint).observe(time.monotonic() - began)

    def polled(self, error: MaasError | None, /) -> None:
        """Count a poll of a watcher."""
        self._polls.labels("ok" if error is None else error.code).inc()

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(name, description, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, description: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, description, labels, namespace=NAMESPACE, buckets=buckets, registry=self.registry)


class _State(Collector):
    """Reads the state of the server at each scrape."""

    def __init__(self, sources: MetricsSources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        calls = self._sources.connections.running_calls()
        running = GaugeMetricFamily(f"{NAMESPACE}_running_calls", "Calls that are running.")
        running.add_metric((), len(calls))
        yield running
        followed = GaugeMetricFamily(
            f"{NAMESPACE}_followed_operations", "Operations that a running call follows.", labels=["operation"]
        )
        operations = {each.follows for each in calls if each.follows is not None}
        for name in sorted({operation for operation, _ in operations}):
            followed.add_metric((name,), sum(operation == name for operation, _ in operations))
        yield followed
        sessions = GaugeMetricFamily(f"{NAMESPACE}_http_sessions", "Open HTTP sessions.")
        sessions.add_metric((), self._sources.open_sessions())
        yield sessions
        yield self._plugins()
        version = GaugeMetricFamily(f"{NAMESPACE}_info", "The version of the server.", labels=["version"])
        version.add_metric((__version__,), 1)
        yield version

    def _plugins(self) -> Metric:
        plugins = GaugeMetricFamily(
            f"{NAMESPACE}_plugin_info", "The state of each installed plugin.", labels=["plugin", "version", "state"]
        )
        for record in self._sources.plugins():
            plugins.add_metric((record.name, record.version, record.state), 1)
        return plugins
