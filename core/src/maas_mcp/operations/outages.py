"""Waiting: deadlines of calls, and retries while MAAS does not respond."""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio

from maas_mcp.errors import MaasError, MaasUnavailableError
from maas_mcp.operations.timing import Timing

ReadT = TypeVar("ReadT")


class StoppedFollowingError(MaasUnavailableError):
    """MAAS was unreachable for so long that following has stopped. The operation may still be running."""


def deadline_after(wait: float | None) -> float:
    """Return the time at which a call that starts now must return, in anyio's clock."""
    return math.inf if wait is None else anyio.current_time() + wait


def seconds_until(until: float) -> float | None:
    """Return the seconds left until ``until``, for a call that starts now. The inverse of ``deadline_after``."""
    return None if until == math.inf else max(0.0, until - anyio.current_time())


async def wait_out_outage(
    read: Callable[[], Awaitable[ReadT]],
    on_outage: Callable[[float, bool], None],
    timing: Timing,
    *,
    until: float = math.inf,
) -> ReadT:
    """Read from MAAS, retrying through an outage, and return the response.

    Args:
        read: Reads from MAAS.
        on_outage: Called during an outage with the seconds since the first attempt, and whether MAAS still responds
            with errors. Raises if the outage is too long.
        timing: The pauses between attempts.
        until: When to give up.

    Raises:
        TimeoutError: The read did not succeed in time. The cause is the latest error.
        MaasError: MAAS responded twice in a row with an error that waiting cannot fix.
    """
    started_at, refused = anyio.current_time(), False
    while True:
        try:
            return await read()
        except MaasError as error:
            if refused and not error.may_pass:
                raise
            refused, pause, last_error = not error.may_pass, _pause(error, timing), error
        now = anyio.current_time()
        if not refused:
            on_outage(now - started_at, is_answering(last_error))
        if now >= until:
            raise TimeoutError from last_error
        await anyio.sleep(min(pause, until - now))


@contextmanager
def giving_up(name: str, until: float) -> Iterator[None]:
    """Limit the time of the reads before an operation starts.

    Raises:
        MaasUnavailableError: The block did not end by ``until``, on anyio's clock. Nothing was sent.
    """
    with anyio.CancelScope(deadline=until) as scope:
        yield
    if scope.cancelled_caught:
        raise MaasUnavailableError(
            f"{name} was not started: MAAS did not answer the reads before the start in time. Nothing was sent.",
            hint="MAAS may be overloaded. Try again later.",
            sent=False,
        )


def is_answering(error: BaseException | None) -> bool:
    """Whether a failed read got any response, such as a 500 or a proxy's error page."""
    return isinstance(error, MaasError) and not isinstance(error, MaasUnavailableError)


def check_outage(silent: float, limit: float, known: str) -> None:
    """Raise if MAAS has been unreachable for too long.

    Args:
        silent: Seconds since MAAS last responded.
        limit: Maximum seconds to wait for MAAS.
        known: The start of the message: the outage and the last known state.

    Raises:
        StoppedFollowingError: MAAS has been unreachable for ``limit`` seconds.
    """
    if silent >= limit:
        raise StoppedFollowingError(
            f"{known}. Stopped following the operation, which may still be running.",
            hint="MAAS continues on its own. Check the operation again once the region responds.",
        )


def _pause(error: MaasError, timing: Timing) -> float:
    """Return the seconds until the next attempt."""
    if not error.may_pass:
        return timing.refusal_pause
    retry_after = error.retry_after if isinstance(error, MaasUnavailableError) else None
    return max(timing.outage_pause, retry_after or 0.0)
