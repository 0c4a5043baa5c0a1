"""The context of log records: the request, principal, tool and operation that a task works for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

from maas_mcp.calls.telemetry import Following, Instrument, ObservedCall
from maas_mcp.operations.declaring.operation_change import OperationChange

Fields = Mapping[str, str | int]

_NONE: Final[Fields] = MappingProxyType({})
_FIELDS: Final[ContextVar[Fields]] = ContextVar("maas_mcp_log_fields", default=_NONE)


def log_fields() -> Fields:
    """Return the ids of the current call: ``request_id``, ``principal``, ``tool``, ``operation``, ``operation_id``.

    A field without a value is left out.
    """
    return _FIELDS.get()


class LogContext(Instrument):
    """Keeps the ids of each call for its log records."""

    @contextmanager
    def call(self, call: ObservedCall, /) -> Iterator[None]:
        """Keep the ids of the call during the block."""
        fields = {"request_id": call.request_id, "principal": call.principal, "tool": call.tool}
        with _keeping({name: value for name, value in fields.items() if value not in (None, "")}):
            yield

    @contextmanager
    def following(self, part: Following, /) -> Iterator[None]:
        """Keep the ids of the operation during the block."""
        ids = {"operation_id": part.operation_id} if part.operation_id else {}
        with _keeping({"operation": part.operation, "system_id": part.system_id, **ids}):
            yield

    def operation_changed(self, change: OperationChange, /) -> None:
        """Keep the id of the operation, which is known from its start on."""
        fields = _FIELDS.get()
        if fields is not _NONE and fields.get("operation_id") != change.operation_id:
            _FIELDS.set({**fields, "operation": change.operation, "operation_id": change.operation_id})


@contextmanager
def _keeping(fields: Mapping[str, str | int | None]) -> Iterator[None]:
    known = {name: value for name, value in fields.items() if value is not None}
    token = _FIELDS.set({**_FIELDS.get(), **known})
    try:
        yield
    finally:
        _FIELDS.reset(token)
