"""OpenTelemetry spans and metrics: operations below the SDK's span of a call, and below them requests to MAAS.

Names follow the semantic conventions of OpenTelemetry for MCP and for HTTP clients, and start with ``maas_mcp``
elsewhere. The SDK's own middleware emits the span of each request, with the ``traceparent`` in the request's ``_meta``
as its parent.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.methods import SPEC_CLIENT_NOTIFICATION_METHODS
from opentelemetry.metrics import MeterProvider, get_meter_provider
from opentelemetry.propagate import inject
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    StatusCode,
    TracerProvider,
    get_current_span,
    get_tracer_provider,
)

from maas_mcp import __version__
from maas_mcp.calls.host import Host
from maas_mcp.calls.telemetry import OK, Following, Instrument, ObservedCall
from maas_mcp.errors import MaasError, MaasMcpError
from maas_mcp.maas.observer import Exchange
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.operation_change import ChangeKind, OperationChange

SCOPE: Final = "maas_mcp"
NO_RESPONSE: Final = "no_response"
"""The ``error.type`` of a request to MAAS without a response, unless it was cancelled."""
TOOL_ERROR: Final = "tool_error"
"""The ``error.type`` of a tool result that is an error, as the conventions name it."""
OTHER: Final = "_OTHER"
"""The method of a message that this server does not know. A client could send any number of them."""
MCP_BUCKETS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds, as the conventions recommend for MCP."""
HTTP_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds, as the conventions recommend for HTTP."""
OPERATION_BUCKETS: Final = (30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0, 14_400.0)
"""Seconds."""

Attributes = dict[str, str | int]

_OPERATION: Final[ContextVar[tuple[str, Span] | None]] = ContextVar("maas_mcp_operation_span", default=None)


class Tracing(Instrument):
    """Emits spans and metrics to the providers.

    Args:
        tracers: The provider of tracers; by default the global one.
        meters: The provider of meters; by default the global one.
        now: Returns the Unix time.
    """

    def __init__(
        self,
        tracers: TracerProvider | None = None,
        meters: MeterProvider | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._tracer = (tracers or get_tracer_provider()).get_tracer(SCOPE, __version__)
        meter = (meters or get_meter_provider()).get_meter(SCOPE, __version__)

        def histogram(name: str, description: str, buckets: tuple[float, ...]) -> Any:
            return meter.create_histogram(
                name, unit="s", description=description, explicit_bucket_boundaries_advisory=buckets
            )

        self._requests = histogram("http.client.request.duration", "Duration of HTTP requests to MAAS.", HTTP_BUCKETS)
        self._operations = histogram(
            "maas_mcp.operation.duration", "Time from the start of an operation to its end.", OPERATION_BUCKETS
        )
        self._messages = histogram(
            "mcp.server.operation.duration", "Duration of MCP requests and notifications.", MCP_BUCKETS
        )
        self._polls = meter.create_counter(
            "maas_mcp.watcher.polls", unit="{poll}", description="Polls of the watchers."
        )

    @contextmanager
    def call(self, call: ObservedCall, /) -> Iterator[None]:
        """Add the principal and the error's code to the SDK's span of the call."""
        span = get_current_span()
        if call.principal:
            span.set_attribute("user.name", call.principal)
        try:
            yield
        finally:
            if call.outcome != OK:
                span.set_attribute("maas_mcp.error.code", call.outcome)

    @contextmanager
    def following(self, part: Following, /) -> Iterator[None]:
        """Emit a span for the part of a call that concerns an operation."""
        attributes = {"maas_mcp.operation.name": part.operation, "maas_mcp.system_id": part.system_id}
        with self._span(f"operation {part.operation}", SpanKind.INTERNAL, attributes) as span:
            if part.operation_id:
                span.set_attribute("maas_mcp.operation.id", part.operation_id)
            token = _OPERATION.set((part.operation, span))
            try:
                yield
            except MaasMcpError as error:
                _set_error(span, error.code)
                raise
            finally:
                _OPERATION.reset(token)

    def operation_changed(self, change: OperationChange, /) -> None:
        """Add the operation's id and end to its span, or to that of the batch to which it belongs."""
        ended = change.kind is ChangeKind.ENDED
        if ended:
            seconds = max(0.0, self._now() - change.started)
            attributes = {"maas_mcp.operation.name": change.operation, "maas_mcp.operation.state": change.state}
            self._operations.record(seconds, attributes)
        current = _OPERATION.get()
        if current is None or change.kind is ChangeKind.MOVED:
            return
        operation, span = current
        if operation != change.operation:
            details = {"maas_mcp.operation.id": change.operation_id, "maas_mcp.operation.state": change.state}
            span.add_event(f"{change.operation} {change.kind}", details)
            return
        span.set_attribute("maas_mcp.operation.id", change.operation_id)
        if ended:
            span.set_attribute("maas_mcp.operation.state", change.state)

    @contextmanager
    def exchange(self, exchange: Exchange, /) -> Iterator[None]:
        """Emit a span for a request to MAAS that belongs to a call, and pass the trace on to MAAS.

        The watcher's polls belong to no call. They have no span, because a trace of one poll shows nothing.
        """
        url, began = urlsplit(exchange.url), time.monotonic()
        known: Attributes = {"http.request.method": exchange.method, "url.template": exchange.endpoint}
        known["server.address"] = url.hostname or ""
        known["server.port"] = url.port or (443 if url.scheme == "https" else 80)
        if get_current_span().get_span_context().is_valid:
            name = f"{exchange.method} {exchange.endpoint}"
            spanned: AbstractContextManager[Span] = self._span(
                name, SpanKind.CLIENT, {**known, "url.full": exchange.url}
            )
        else:
            spanned = nullcontext(INVALID_SPAN)
        with spanned as span:
            inject(exchange.headers)
            try:
                yield
            except BaseException as error:
                if not is_cancellation(error):
                    known["error.type"] = NO_RESPONSE
                    _set_error(span, NO_RESPONSE)
                raise
            finally:
                if exchange.status is not None:
                    known |= _set_status(span, exchange.status)
                self._requests.record(time.monotonic() - began, known)

    def polled(self, error: MaasError | None, /) -> None:
        """Count a poll of a watcher."""
        self._polls.add(1, {} if error is None else {"error.type": error.code})

    def record_message(self, seconds: float, attributes: Attributes) -> None:
        """Record the duration of an MCP request or notification."""
        self._messages.record(seconds, attributes)

    @contextmanager
    def _span(self, name: str, kind: SpanKind, attributes: dict[str, Any]) -> Iterator[Span]:
        # Exceptions are not recorded: those of httpx refer to the API key, and those of plugins may contain anything.
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            yield span


class MessageDurations(ServerMiddleware[Host]):
    """Middleware of the SDK that records ``mcp.server.operation.duration``."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    async def __call__(self, ctx: ServerRequestContext[Host, Any], call_next: CallNext) -> HandlerResult:
        """Pass a message on, and record how long its handler took."""
        began, attributes = time.monotonic(), _describe(ctx)
        try:
            result = await call_next(ctx)
        except MCPError as error:
            code = error.error.code
            attributes |= {"error.type": str(code), "rpc.response.status_code": str(code)}
            if code == types.METHOD_NOT_FOUND:
                attributes["mcp.method.name"] = OTHER
            raise
        except Exception as error:
            attributes["error.type"] = type(error).__qualname__
            raise
        else:
            if isinstance(result, types.CallToolResult) and result.is_error:
                attributes["error.type"] = TOOL_ERROR
            return result
        finally:
            self._tracing.record_message(time.monotonic() - began, attributes)


def _describe(ctx: ServerRequestContext[Host, Any]) -> Attributes:
    """The attributes of a message. Names that a client invents are left out, because each would be a new series."""
    # An unknown request ends with an error, which its caller sees. An unknown notification is silently ignored.
    known = ctx.request_id is not None or ctx.method in SPEC_CLIENT_NOTIFICATION_METHODS
    attributes: Attributes = {"mcp.protocol.version": ctx.protocol_version}
    attributes["mcp.method.name"] = ctx.method if known else OTHER
    name = ctx.params.get("name") if ctx.params else None
    if ctx.method == "tools/call":
        attributes["gen_ai.operation.name"] = "execute_tool"
        if name in ctx.lifespan_context.tools:
            attributes["gen_ai.tool.name"] = str(name)
    return attributes


def _set_status(span: Span, status: int) -> Attributes:
    """Add the status of a response to a span, and return it as attributes."""
    span.set_attribute("http.response.status_code", status)
    if status < HTTPStatus.BAD_REQUEST:
        return {"http.response.status_code": status}
    _set_error(span, str(status))
    return {"http.response.status_code": status, "error.type": str(status)}


def _set_error(span: Span, code: str) -> None:
    span.set_attribute("error.type", code)
    span.set_status(StatusCode.ERROR)
