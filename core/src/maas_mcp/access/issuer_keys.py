"""The cached keys of an OAuth issuer: fresh ones where possible, old ones while the issuer does not answer.

A request never causes more than one fetch in :attr:`KeyTimes.cooldown` seconds, whatever key ids clients make up, and
concurrent requests share a fetch.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup
from jwt import PyJWK

from maas_mcp.access.issuer import IssuerError
from maas_mcp.access.key_sets import KeySet

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyTimes:
    """How long keys are used, in seconds."""

    fresh: float = 300.0
    """Keys of this age are fetched again, while requests use the old ones. A withdrawn key is accepted for as long."""
    stale: float = 86_400.0
    """Keys of this age are not used any more, although no newer ones can be fetched."""
    cooldown: float = 10.0
    """Minimum time between the starts of two fetches."""


TIMES: Final = KeyTimes()


class KeysUnavailableError(Exception):
    """There are no keys of the issuer, because it does not answer."""


class IssuerKeys:
    """The keys of an issuer, fetched when first needed.

    Args:
        fetch: Fetches the current keys, or raises :exc:`IssuerError`.
        tasks: The task group of the fetches, which outlive the requests that start them.
        times: How long keys are used.
        now: A clock, in seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[KeySet]],
        tasks: TaskGroup,
        *,
        times: KeyTimes = TIMES,
        now: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._fetch = fetch
        self._tasks = tasks
        self._times = times
        self._now = now
        self._keys: KeySet | None = None
        self._fetched_at = float("-inf")
        self._started_at = float("-inf")
        self._running: anyio.Event | None = None
        """Set when the running fetch ends."""

    async def find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """Return the key with this id for this algorithm, or ``None`` if the issuer has none.

        Raises:
            KeysUnavailableError: There are no keys that are recent enough.
        """
        found = self._known(key_id, algorithm)
        if found is None:
            await self._refresh()
            found = self._known(key_id, algorithm)
            if self._age >= self._times.stale:
                raise KeysUnavailableError
        elif self._age >= self._times.fresh:
            self._start()
        return found

    def _known(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        usable = self._keys is not None and self._age < self._times.stale
        return self._keys.find(key_id, algorithm) if self._keys is not None and usable else None

    @property
    def _age(self) -> float:
        return self._now() - self._fetched_at

    async def _refresh(self) -> None:
        """Wait for the running fetch, or for one that starts now unless the last one started too recently."""
        running = self._start()
        if running is not None:
            await running.wait()

    def _start(self) -> anyio.Event | None:
        """Return the running fetch, which may start now; ``None`` if it is too early for one."""
        if self._running is None and self._now() - self._started_at >= self._times.cooldown:
            self._started_at = self._now()
            self._running = anyio.Event()
            self._tasks.start_soon(self._run, self._running)
        return self._running

    async def _run(self, running: anyio.Event) -> None:
        try:
            self._keys = await self._fetch()
            self._fetched_at = self._now()
        except IssuerError as error:
            logger.warning("OAuth keys are not up to date: %s", error)
        except Exception as error:  # noqa: BLE001 - a fault while reading keys must not end the server
            logger.error("OAuth keys cannot be read: %r", error)  # noqa: TRY400 - no traceback needed
        finally:
            self._running = None
            running.set()
