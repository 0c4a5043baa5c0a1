"""Shared reads: simultaneous reads of several calls are combined into one request."""

import logging
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import anyio

from maas_mcp.errors import MaasAuthError, MaasError, MaasUnavailableError
from maas_mcp.maas.client import MaasClient, validate_system_id
from maas_mcp.maas.limits import MAX_REQUESTS
from maas_mcp.maas.models import Machine, SystemId, User
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.watching.grouping import MAX_MACHINES

logger = logging.getLogger(__name__)

REQUESTS: Final = MAX_REQUESTS - 1
"""Maximum concurrent requests for machines. One more would wait in the client; here, later reads can still join it."""
REGION: Final = ""
"""The key for reads of the region."""

KeyT = TypeVar("KeyT", bound=str)
AnswerT = TypeVar("AnswerT")


class SharedReads:
    """Reads machines, the newest event id and the user of the API key, for all calls of a process.

    A read is sent at once, unless another one was sent less than ``Timing.sharing`` seconds ago. Then it waits for the
    rest of that time, and all reads requested meanwhile are combined with it. Each caller gets the response to a
    request that was sent after its own call. So an event id read after a machine is newer than the machine's state.

    One of the callers sends the request. If that caller is cancelled, another one sends it again.

    Args:
        timing: The time within which reads are combined.
    """

    def __init__(self, timing: Timing) -> None:
        self._machines = _Combiner(_machines, timing.sharing, most=MAX_MACHINES, at_once=REQUESTS)
        self._newest = _Combiner(_newest_event_id, timing.sharing, most=1, at_once=1)
        self._user = _Combiner(_whoami, timing.sharing, most=1, at_once=1)

    async def machine(self, maas: MaasClient, system_id: SystemId) -> Machine:
        """Read one machine.

        Args:
            maas: The region. Only reads through the same client are combined, because clients differ in their retries.
            system_id: The machine.

        Raises:
            MaasNotFoundError: There is no such machine, or the user may not see it.
            MaasError: As :meth:`MaasClient.machine`.
        """
        found = await self._machines.get(maas, validate_system_id(system_id))
        # MAAS omits unknown ids from a list. A single read returns the right error.
        return found.get(system_id) or await maas.machine(system_id)

    async def newest_event_id(self, maas: MaasClient) -> int:
        """Read the id of the newest event that the user may see; 0 if there is none.

        Raises:
            MaasError: As :meth:`MaasClient.newest_event_id`.
        """
        return (await self._newest.get(maas, REGION))[REGION]

    async def whoami(self, maas: MaasClient) -> User:
        """Read the user of the API key.

        Raises:
            MaasError: As :meth:`MaasClient.whoami`.
        """
        return (await self._user.get(maas, REGION))[REGION]


@dataclass(eq=False)
class _Request(Generic[KeyT, AnswerT]):
    """A request that further callers may join until it is sent."""

    keys: dict[KeyT, None] = field(default_factory=dict)
    answers: Mapping[KeyT, AnswerT] | None = None
    error: MaasError | None = None
    finished: anyio.Event = field(default_factory=anyio.Event)
    """Set when the response arrived, or when the sending caller was cancelled."""


class _Combiner(Generic[KeyT, AnswerT]):
    """Combines reads of several callers into one request. Times are seconds of anyio's clock.

    Args:
        send: Reads some keys from MAAS.
        window: Minimum seconds between two requests.
        most: Maximum keys in one request.
        at_once: Maximum concurrent requests through the same client.
    """

    def __init__(
        self,
        send: Callable[[MaasClient, Collection[KeyT]], Awaitable[Mapping[KeyT, AnswerT]]],
        window: float,
        *,
        most: int,
        at_once: int,
    ) -> None:
        self._send = send
        self._window = window
        self._most = most
        self._slots = defaultdict[MaasClient, anyio.CapacityLimiter](lambda: anyio.CapacityLimiter(at_once))
        """One per client, because a client with long retries must not delay the others."""
        self._open: dict[MaasClient, _Request[KeyT, AnswerT]] = {}
        """For each client, the unsent request that callers can join."""
        self._sent_at = -math.inf

    async def get(self, maas: MaasClient, key: KeyT) -> Mapping[KeyT, AnswerT]:
        """Return the response to a request for ``key``, possibly combined with other keys.

        Raises:
            MaasError: MAAS did not respond, or refused the request.
        """
        while (request := self._open.get(maas)) and (key in request.keys or len(request.keys) < self._most):
            request.keys[key] = None
            await request.finished.wait()
            if request.error is not None:
                raise copy(request.error)  # each caller may modify its error
            if request.answers is not None:
                return request.answers
        request = self._open[maas] = _Request({key: None})
        return await self._send_request(maas, request)

    async def _send_request(self, maas: MaasClient, request: _Request[KeyT, AnswerT]) -> Mapping[KeyT, AnswerT]:
        try:
            await anyio.sleep_until(self._sent_at + self._window)
            async with self._slots[maas]:
                self._close(maas, request)
                self._sent_at = anyio.current_time()
                request.answers = await self._send(maas, request.keys)
                return request.answers
        except MaasError as error:
            request.error = error
            raise
        finally:
            self._close(maas, request)
            request.finished.set()

    def _close(self, maas: MaasClient, request: _Request[KeyT, AnswerT]) -> None:
        """Prevent further callers from joining: they need a response to a later request."""
        if self._open.get(maas) is request:
            del self._open[maas]


async def _machines(maas: MaasClient, ids: Collection[SystemId]) -> Mapping[SystemId, Machine]:
    """Read machines together. The ids fit into a URL, because they are few and short."""
    if len(ids) == 1:
        return {system_id: await maas.machine(system_id) for system_id in ids}
    try:
        found = await maas.machine_listing(id=tuple(ids))
    except (MaasUnavailableError, MaasAuthError):
        raise
    except MaasError as error:
        # MAAS may fail for one of them and return a 500 for all, so each is read alone.
        logger.info("MAAS could not list %d machines in one request: %s", len(ids), error)
        return {}
    return {machine.system_id: machine for machine in found}


async def _newest_event_id(maas: MaasClient, keys: Collection[str]) -> Mapping[str, int]:
    return dict.fromkeys(keys, await maas.newest_event_id())


async def _whoami(maas: MaasClient, keys: Collection[str]) -> Mapping[str, User]:
    return dict.fromkeys(keys, await maas.whoami())
