"""Retries of reads, a few times within seconds. The transport never retries a change."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from maas_mcp.errors import MaasUnavailableError

# stamina and tenacity would make this longer: they need a subclass or hook each for reading Retry-After, giving up on a
# long one, and sleeping with anyio.

_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True, slots=True)
class Backoff:
    """The number of attempts and the delays between them: exponential with full jitter, and at least ``Retry-After``.

    All times are in seconds.
    """

    attempts: int = 4
    base: float = 0.25
    cap: float = 8.0
    longest_wait: float = 30.0
    """With a longer ``Retry-After`` the error is raised, because only the caller knows its deadline."""
    jitter: Callable[[], float] = random.random
    """Returns a number from 0 to 1."""

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Return the seconds to wait after this number of consecutive failures."""
        return max(self.jitter() * min(self.cap, self.base * 2.0 ** (failures - 1)), retry_after or 0.0)


async def retry(attempt: Callable[[], Awaitable[_ResultT]], backoff: Backoff) -> _ResultT:
    """Repeat ``attempt()`` while it raises a retryable ``MaasUnavailableError``, and finally raise the last error.

    Each call must sign a new request, because MAAS rejects an OAuth nonce that it has seen.
    """
    for failures in range(1, backoff.attempts):
        try:
            return await attempt()
        except MaasUnavailableError as error:
            wait = backoff.wait(failures, error.retry_after)
            if not error.retryable or wait > backoff.longest_wait:
                raise
        await anyio.sleep(wait)
    return await attempt()
