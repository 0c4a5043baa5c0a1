"""Limits of each principal over HTTP: how many requests in a second, how many at once, and how many sessions.

A client that loops, or opens one session after the other, must not take the server away from the others.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from maas_mcp.server.http.refusals import Refusal


@dataclass(frozen=True, slots=True)
class PrincipalLimits:
    """What one principal may use."""

    rate: float
    """Requests a second, in the long run; ten seconds' worth may come at once."""
    requests: int
    """Requests whose responses have not ended: each follows an operation, or waits for notifications."""
    sessions: int
    """Open sessions."""
    idle: float
    """Seconds without a request after which a session counts as closed."""


BURST = 10.0
"""Seconds of the rate that may be used at once, after a pause."""


@dataclass(eq=False, slots=True)
class _Usage:
    """What one principal uses now."""

    left: float
    """Requests that may come at once."""
    at: float
    """When ``left`` was right, in anyio's clock."""
    running: int = 0
    sessions: dict[str, float] = field(default_factory=dict)
    """When each session was last used, by its id."""


class Usage:
    """What all principals use, within the limits of each.

    Args:
        limits: Of each principal.
    """

    def __init__(self, limits: PrincipalLimits) -> None:
        self._limits = limits
        self._by_name: dict[str, _Usage] = {}

    @contextmanager
    def request(self, name: str) -> Iterator[None]:
        """A request of the principal called ``name``, for as long as its response runs.

        Raises:
            Refusal: 429, with the seconds to wait where waiting helps.
        """
        usage, limits = self._usage(name), self._limits
        if usage.left < 1:
            wait = math.ceil((1 - usage.left) / limits.rate)
            raise Refusal(
                429,
                f"You send more than {limits.rate:g} requests a second.",
                f"Wait {wait} s.",
                {"Retry-After": str(wait)},
            )
        if usage.running >= limits.requests:
            raise Refusal(
                429, f"{limits.requests} of your requests are running already.", "Cancel one, or wait for its response."
            )
        usage.left -= 1
        usage.running += 1
        try:
            yield
        finally:
            usage.running -= 1

    def check_new_session(self, name: str) -> None:
        """Make sure that the principal may open one more session.

        Raises:
            Refusal: 429: it has too many.
        """
        usage, now = self._usage(name), anyio.current_time()
        usage.sessions = {each: at for each, at in usage.sessions.items() if now - at < self._limits.idle}
        if len(usage.sessions) >= self._limits.sessions:
            raise Refusal(
                429, f"You have {self._limits.sessions} open sessions already.", "Close one with a DELETE request."
            )

    def session_used(self, name: str, session_id: str) -> None:
        """The principal has opened this session, or used it."""
        self._usage(name).sessions[session_id] = anyio.current_time()

    def session_closed(self, name: str, session_id: str) -> None:
        """The session does not exist any longer."""
        self._usage(name).sessions.pop(session_id, None)

    def _usage(self, name: str) -> _Usage:
        now, most = anyio.current_time(), self._limits.rate * BURST
        usage = self._by_name.get(name)
        if usage is None:
            usage = self._by_name[name] = _Usage(most, now)
        usage.left = min(most, usage.left + (now - usage.at) * self._limits.rate)
        usage.at = now
        return usage
