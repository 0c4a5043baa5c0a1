"""Spans and metrics of an operation's requests to MAAS, in the in-memory exporters of OpenTelemetry's SDK."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from maas_mcp.calls.telemetry import Following
from maas_mcp.errors import MaasError, MaasUnavailableError, OperationFailedError
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.maas.retry import Backoff
from maas_mcp.operations.declaring.operation_change import ChangeKind, OperationChange
from maas_mcp.operations.declaring.operations import State
from maas_mcp.server.tracing import Tracing
from tests.unit.core.maas.fake_region import (
    SECRET,
    FakeRegion,
    close_connection,
    http,
    respond_with,
    send_nothing,
    serving_fake,
)

pytestmark = pytest.mark.anyio

PART = Following("maas_deploy_machine", "4y3h7n")
START = 1_700_000_000


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Use the real clock, which sockets need."""
    return str(request.param)


@dataclass
class Recorder:
    """What the instrument has emitted."""

    tracing: Tracing
    tracer: Tracer
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def spans(self) -> dict[str, ReadableSpan]:
        return {each.name: each for each in self.exporter.get_finished_spans()}

    def points(self, name: str) -> list[dict[str, Any]]:
        """The attributes of each series of a metric, with the number and sum of its values."""
        data = self.reader.get_metrics_data()
        metrics = [
            metric
            for each in (data.resource_metrics if data else ())
            for scope in each.scope_metrics
            for metric in scope.metrics
        ]
        return [
            {**dict(point.attributes or {}), "count": getattr(point, "count", None), "sum": getattr(point, "sum", None)}
            for metric in metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(tracers, meters, now=lambda: START + 90.0)
    yield Recorder(tracing, tracers.get_tracer("test"), exporter, reader)
    tracers.shutdown()
    meters.shutdown()


def observed(region: FakeRegion, recorder: Recorder) -> HttpTransport:
    access = region.transport()._region
    backoff = Backoff(attempts=2, jitter=lambda: 0.0)
    region.transports.append(HttpTransport(access, backoff=backoff, observers=[recorder.tracing.exchange]))
    return region.transports[-1]


def changed(kind: ChangeKind, state: State, operation: str = "maas_deploy_machine") -> OperationChange:
    return OperationChange(
        kind=kind,
        operation=operation,
        operation_id="the-id",
        started=START,
        system_id="4y3h7n",
        state=state,
        fraction=None,
        message="",
        username=None,
    )


async def test_maas_receives_the_traceparent_of_the_request_below_the_operation(recorder: Recorder) -> None:
    async with serving_fake(respond_with(http())) as region:
        with recorder.tracer.start_as_current_span("tools/call maas_deploy_machine"), recorder.tracing.following(PART):
            await observed(region, recorder).request("POST", "machines/4y3h7n/", query=[("op", "deploy")], form=[])

    spans = recorder.spans()
    call, operation, sent = (
        spans[name]
        for name in (
            "tools/call maas_deploy_machine",
            "operation maas_deploy_machine",
            "POST machines/{id}/?op=deploy",
        )
    )
    assert operation.parent
    assert operation.parent.span_id == call.context.span_id
    assert sent.parent
    assert sent.parent.span_id == operation.context.span_id
    (received,) = region.received
    parent = f"00-{call.context.trace_id:032x}-{sent.context.span_id:016x}-"
    assert received.headers["traceparent"].startswith(parent)
    assert received.headers["authorization"].startswith("OAuth ")


async def test_each_attempt_of_a_retried_read_is_a_span(recorder: Recorder) -> None:
    async with serving_fake(respond_with(http(503), http())) as region:
        with recorder.tracer.start_as_current_span("call"):
            await observed(region, recorder).request("GET", "machines/4y3h7n/")
    sent = [each for each in recorder.exporter.get_finished_spans() if each.name == "GET machines/{id}/"]
    assert [(each.attributes or {})["http.response.status_code"] for each in sent] == [503, 200]
    assert [each.status.is_ok for each in sent] == [False, True]
    points = recorder.points("http.client.request.duration")
    assert {(each["http.response.status_code"], each.get("error.type")) for each in points} == {
        (503, "503"),
        (200, None),
    }


async def test_a_request_outside_of_a_call_is_measured_without_a_span(recorder: Recorder) -> None:
    async with serving_fake(respond_with(http(body="[]"))) as region:
        await observed(region, recorder).request("GET", "events/", query=[("op", "query")])
    assert recorder.spans() == {}
    assert "traceparent" not in region.received[0].headers
    (point,) = recorder.points("http.client.request.duration")
    assert point["url.template"] == "events/?op=query"
    assert point["count"] == 1


async def test_a_lost_connection_is_an_error_that_holds_no_secret(recorder: Recorder) -> None:
    async with serving_fake(close_connection) as region:
        with recorder.tracer.start_as_current_span("call"), pytest.raises(MaasUnavailableError):
            await observed(region, recorder).request("POST", "machines/4y3h7n/", query=[("op", "deploy")], form=[])
    span = recorder.spans()["POST machines/{id}/?op=deploy"]
    assert (span.attributes or {})["error.type"] == "no_response"
    assert not span.events
    assert SECRET not in span.to_json()


async def test_a_cancelled_request_is_not_an_error(recorder: Recorder) -> None:
    async with serving_fake(send_nothing) as region:
        with recorder.tracer.start_as_current_span("call"), anyio.move_on_after(0.1):
            await observed(region, recorder).request("POST", "machines/4y3h7n/", query=[("op", "deploy")], form=[])
    assert "error.type" not in (recorder.spans()["POST machines/{id}/?op=deploy"].attributes or {})


def test_an_operation_that_ends_is_measured_from_its_start(recorder: Recorder) -> None:
    with recorder.tracing.following(PART):
        recorder.tracing.operation_changed(changed(ChangeKind.STARTED, "working"))
        recorder.tracing.operation_changed(changed(ChangeKind.ENDED, "failed"))
    attributes = recorder.spans()["operation maas_deploy_machine"].attributes or {}
    assert attributes["maas_mcp.operation.id"] == "the-id"
    assert attributes["maas_mcp.operation.state"] == "failed"
    (point,) = recorder.points("maas_mcp.operation.duration")
    assert point["sum"] == 90.0
    assert point["maas_mcp.operation.state"] == "failed"


def test_the_machines_of_a_batch_are_events_of_its_span(recorder: Recorder) -> None:
    with recorder.tracing.following(Following("maas_deploy_machines", "b1")):
        recorder.tracing.operation_changed(changed(ChangeKind.STARTED, "working"))
        recorder.tracing.operation_changed(changed(ChangeKind.MOVED, "working"))
        recorder.tracing.operation_changed(changed(ChangeKind.ENDED, "succeeded"))
    span = recorder.spans()["operation maas_deploy_machines"]
    assert [each.name for each in span.events] == ["maas_deploy_machine started", "maas_deploy_machine ended"]
    assert "maas_mcp.operation.state" not in (span.attributes or {})


def test_a_failed_operation_has_the_code_of_its_error_and_no_traceback(recorder: Recorder) -> None:
    with pytest.raises(OperationFailedError), recorder.tracing.following(PART):
        raise OperationFailedError("the disk is broken")
    span = recorder.spans()["operation maas_deploy_machine"]
    assert (span.attributes or {})["error.type"] == "operation_failed"
    assert not span.events


@pytest.mark.parametrize("error", [None, MaasUnavailableError("MAAS is down.", sent=False)])
def test_polls_are_counted_by_their_error(recorder: Recorder, error: MaasError | None) -> None:
    recorder.tracing.polled(error)
    (point,) = recorder.points("maas_mcp.watcher.polls")
    assert point.get("error.type") == (error.code if error else None)
