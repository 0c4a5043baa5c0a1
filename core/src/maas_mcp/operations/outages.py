"""Waiting: until when a call waits, and for how long a MAAS that does not answer is asked again."""

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from maas_mcp.errors import MaasError, MaasUnavailableError
from maas_mcp.operations.timing import Timing

ReadT = TypeVar("ReadT")


def until_of(wait: float | None) -> float:
    """When a call that begins now is to answer, in anyio's clock."""
    return math.inf if wait is None else anyio.current_time() + wait


def left_of(until: float) -> float | None:
    """How long to wait for what begins now, so that it is answered by then; the other way round than ``until_of``."""
    return None if until == math.inf else max(0.0, until - anyio.current_time())


async def wait_out_outage(
    read: Callable[[], Awaitable[ReadT]],
    silent: Callable[[float, bool], None],
    timing: Timing,
    *,
    until: float = math.inf,
) -> ReadT:
    """What MAAS answers to a read, once it does.

    Args:
        read: Asks MAAS.
        silent: Told for how many seconds nothing could be read, and whether MAAS answers all the same; raises when
            that is too long.
        timing: When it is tried again.
        until: When to give up.

    Raises:
        TimeoutError: It has not answered by then; the cause is the latest error.
        MaasError: It has answered twice in a row with something that waiting does not mend.
    """
    began, refused = anyio.current_time(), False
    while True:
        try:
            return await read()
        except MaasError as error:
            if refused and not error.may_pass:
                raise
            refused, pause, latest = not error.may_pass, _pause(error, timing), error
        now = anyio.current_time()
        if not refused:
            silent(now - began, answers(latest))
        if now >= until:
            raise TimeoutError from latest
        await anyio.sleep(min(pause, until - now))


def answers(error: BaseException | None) -> bool:
    """Whether what could not be read was answered all the same: by a 500, or by a page of what is in between."""
    return isinstance(error, MaasError) and not isinstance(error, MaasUnavailableError)


def check_outage(silent: float, limit: float, known: str) -> None:
    """Give up where MAAS has been silent for too long.

    Args:
        silent: Seconds since it last answered.
        limit: Seconds that are waited for it.
        known: What is told of it, and what was last seen.

    Raises:
        MaasUnavailableError: It has been silent for ``limit`` seconds.
    """
    if silent >= limit:
        raise MaasUnavailableError(
            f"{known}. Gave up following; nothing is known to have failed.",
            hint="MAAS goes on by itself. Ask for the operation again once the region answers.",
        )


def _pause(error: MaasError, timing: Timing) -> float:
    """Seconds until the next try after an error."""
    if not error.may_pass:
        return timing.refusal_pause
    wish = error.retry_after if isinstance(error, MaasUnavailableError) else None
    return max(timing.outage_pause, wish or 0.0)
