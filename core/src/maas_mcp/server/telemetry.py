"""Opens the host with the instruments that the settings and the environment ask for."""

from collections.abc import Sequence
from functools import partial

from maas_mcp.calls.host import open_host
from maas_mcp.calls.telemetry import Instrument
from maas_mcp.maas.connection import connect
from maas_mcp.operations.timing import Timing
from maas_mcp.server.app import OpenHost
from maas_mcp.settings import Settings


def instruments_for(settings: Settings) -> list[Instrument]:
    """Return the instruments for any transport. Without any, a call costs nothing more."""
    instruments: list[Instrument] = []
    if settings.log_format == "json":
        from maas_mcp.calls.log_context import LogContext  # noqa: PLC0415 - not imported unless used

        instruments.append(LogContext())
    return instruments


def observed_host(instruments: Sequence[Instrument], timing: Timing | None = None) -> OpenHost:
    """Return a function that opens a host with these instruments.

    Args:
        instruments: They observe calls, operations, polls and requests to MAAS.
        timing: The time limits of operations.
    """
    observed = partial(connect, observers=[each.exchange for each in instruments])
    return partial(open_host, timing=timing, instruments=instruments, connect=observed)
