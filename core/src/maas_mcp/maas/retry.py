"""Trying a read again, a few times within seconds. What changes something is never tried again: see the transport."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from maas_mcp.errors import MaasUnavailableError

# Own code, because the libraries give less than they cost here: stamina and tenacity know asyncio and trio, but reading
# Retry-After, giving up on a long one and waiting with anyio would each be a subclass or a hook, longer than this loop.

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how long apart, in seconds: exponential with full jitter, and never sooner than MAAS asked."""

    attempts: int = 4
    base: float = 0.25
    cap: float = 8.0
    longest_wait: float = 30.0
    """A longer ``Retry-After`` is the caller's to wait for: it knows the deadline."""
    jitter: Callable[[], float] = random.random
    """A number from 0 to 1."""

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Seconds to wait after that many failures in a row."""
        return max(self.jitter() * min(self.cap, self.base * 2.0 ** (failures - 1)), retry_after or 0.0)


async def retry(attempt: Callable[[], Awaitable[_Answer]], backoff: Backoff) -> _Answer:
    """Await ``attempt()`` until it does not raise a retryable ``MaasUnavailableError``; raise the last one.

    Each call must be a new attempt altogether: MAAS refuses an OAuth nonce that it has seen.
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
