"""Limits of each principal over HTTP: requests per second, concurrent requests, and sessions.

A client that sends requests or opens sessions in a loop must not block the other clients.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from maas_mcp.server.http.refusals import Refusal


@dataclass(frozen=True, slots=True)
class PrincipalLimits:
    """The limits of one principal."""

    rate: float
    """Requests per second, on average."""
    requests: int
    """Concurrent requests, including those that follow an operation or wait for notifications."""
    sessions: int
    """Open sessions."""
    idle: float
    """Seconds without a request after which a session counts as closed."""


BURST = 10.0
"""After a pause, a principal may send the requests of this many seconds at once."""


@dataclass(eq=False, slots=True)
class _Usage:
    """The current usage of one principal."""

    left: float
    """Requests that the principal may send at once."""
    at: float
    """When ``left`` was computed, on anyio's clock."""
    running: int = 0
    sessions: dict[str, float] = field(default_factory=dict)
    """When each session was last used, by its id."""


class Usage:
    """The usage of all principals, checked against their limits.

    Args:
        limits: The limits of each principal.
    """

    def __init__(self, limits: PrincipalLimits) -> None:
        self._limits = limits
        self._by_name: dict[str, _Usage] = {}

    @contextmanager
    def request(self, name: str) -> Iterator[None]:
        """Count a request of the principal ``name`` until its response ends.

        Raises:
            Refusal: 429 if the principal exceeds a limit, with the seconds to wait if it is the rate.
        """
        usage, limits = self._usage(name), self._limits
        if usage.left < 1:
            wait = math.ceil((1 - usage.left) / limits.rate)
            raise Refusal(
                429,
                f"You exceeded the limit of {limits.rate:g} requests per second.",
                f"Wait {wait} s.",
                {"Retry-After": str(wait)},
            )
        if usage.running >= limits.requests:
            raise Refusal(
                429,
                f"You already have {limits.requests} running requests, which is the limit.",
                "Cancel one, or wait for its response.",
            )
        usage.left -= 1
        usage.running += 1
        try:
            yield
        finally:
            usage.running -= 1

    def check_new_session(self, name: str) -> None:
        """Check that the principal may open one more session.

        Raises:
            Refusal: 429 if it has too many.
        """
        usage, now = self._usage(name), anyio.current_time()
        usage.sessions = {each: at for each, at in usage.sessions.items() if now - at < self._limits.idle}
        if len(usage.sessions) >= self._limits.sessions:
            raise Refusal(
                429,
                f"You already have {self._limits.sessions} open sessions, which is the limit.",
                "Close one with a DELETE request.",
            )

    def open_sessions(self) -> int:
        """The open sessions of all principals."""
        now = anyio.current_time()
        return sum(now - at < self._limits.idle for usage in self._by_name.values() for at in usage.sessions.values())

    def session_used(self, name: str, session_id: str) -> None:
        """Record that the principal opened or used this session."""
        self._usage(name).sessions[session_id] = anyio.current_time()

    def session_closed(self, name: str, session_id: str) -> None:
        """Record that the session was closed."""
        self._usage(name).sessions.pop(session_id, None)

    def _usage(self, name: str) -> _Usage:
        now, most = anyio.current_time(), self._limits.rate * BURST
        usage = self._by_name.get(name)
        if usage is None:
            usage = self._by_name[name] = _Usage(most, now)
        usage.left = min(most, usage.left + (now - usage.at) * self._limits.rate)
        usage.at = now
        return usage
