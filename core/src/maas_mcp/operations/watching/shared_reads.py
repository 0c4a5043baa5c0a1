"""Reads that calls share: what many ask MAAS for at the same moment goes out as one request."""

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
from maas_mcp.operations.watching.grouping import MACHINES

logger = logging.getLogger(__name__)

REQUESTS: Final = MAX_REQUESTS - 1
"""Requests for machines at once: one more would wait in the client. Here, what comes meanwhile can still join it."""
REGION: Final = ""
"""Stands for the region, where a read is not of one machine."""

KeyT = TypeVar("KeyT", bound=str)
AnswerT = TypeVar("AnswerT")


class SharedReads:
    """Reads machines, the newest event id and the user of the API key, for all calls of a process.

    A read is sent at once, unless another one was sent less than ``Timing.sharing`` seconds ago. Then it waits for the
    rest of that time, and goes out together with all that are asked for meanwhile. Each caller gets an answer to a
    request that was sent after that: an event id read after a machine is newer than what the machine showed.

    One of the callers sends the request. If that caller is cancelled, another one of them sends it again.

    Args:
        timing: Within which time reads are sent together.
    """

    def __init__(self, timing: Timing) -> None:
        self._machines = _Gathering(_machines, timing.sharing, most=MACHINES, at_once=REQUESTS)
        self._newest = _Gathering(_newest_event_id, timing.sharing, most=1, at_once=1)
        self._user = _Gathering(_whoami, timing.sharing, most=1, at_once=1)

    async def machine(self, maas: MaasClient, system_id: SystemId) -> Machine:
        """One machine, as it is now.

        Args:
            maas: The region. Only reads through the same client go out together: others may retry otherwise.
            system_id: The machine.

        Raises:
            MaasNotFoundError: There is no such machine, or the user may not see it.
            MaasError: As :meth:`MaasClient.machine`.
        """
        found = await self._machines.get(maas, validate_system_id(system_id))
        # MAAS leaves unknown ids out of a list. Read alone, the machine has an error of its own.
        return found.get(system_id) or await maas.machine(system_id)

    async def newest_event_id(self, maas: MaasClient) -> int:
        """The id of the newest event that the user may see, or 0 where there is none.

        Raises:
            MaasError: As :meth:`MaasClient.newest_event_id`.
        """
        return (await self._newest.get(maas, REGION))[REGION]

    async def whoami(self, maas: MaasClient) -> User:
        """The user whose API key is used.

        Raises:
            MaasError: As :meth:`MaasClient.whoami`.
        """
        return (await self._user.get(maas, REGION))[REGION]


@dataclass(eq=False)
class _Request(Generic[KeyT, AnswerT]):
    """A request that more callers may join until it is sent."""

    keys: dict[KeyT, None] = field(default_factory=dict)
    answers: Mapping[KeyT, AnswerT] | None = None
    error: MaasError | None = None
    over: anyio.Event = field(default_factory=anyio.Event)
    """It was answered, or the caller that was to send it has left."""


class _Gathering(Generic[KeyT, AnswerT]):
    """Makes one request of what many callers ask for. Times are seconds of anyio's clock.

    Args:
        send: Asks MAAS for some keys.
        window: Seconds between two requests.
        most: Keys in one request.
        at_once: Requests at the same time, through the same client.
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
        """Of each client, because one that retries for long must not hold up one that does not."""
        self._open: dict[MaasClient, _Request[KeyT, AnswerT]] = {}
        """The request to join, for each client through which one is to be sent."""
        self._sent_at = -math.inf

    async def get(self, maas: MaasClient, key: KeyT) -> Mapping[KeyT, AnswerT]:
        """What MAAS answers to a request for ``key`` and others.

        Raises:
            MaasError: MAAS did not answer the request, or refused to.
        """
        while (request := self._open.get(maas)) and (key in request.keys or len(request.keys) < self._most):
            request.keys[key] = None
            await request.over.wait()
            if request.error is not None:
                raise copy(request.error)  # each caller may add to its own
            if request.answers is not None:
                return request.answers
        request = self._open[maas] = _Request({key: None})
        return await self._carry_out(maas, request)

    async def _carry_out(self, maas: MaasClient, request: _Request[KeyT, AnswerT]) -> Mapping[KeyT, AnswerT]:
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
            request.over.set()

    def _close(self, maas: MaasClient, request: _Request[KeyT, AnswerT]) -> None:
        """Let nobody join any longer: its answer may be older than what is asked for from now on."""
        if self._open.get(maas) is request:
            del self._open[maas]


async def _machines(maas: MaasClient, ids: Collection[SystemId]) -> Mapping[SystemId, Machine]:
    """Those machines that can be read together. The ids fit into a URL: they are few, and none is long."""
    if len(ids) == 1:
        return {system_id: await maas.machine(system_id) for system_id in ids}
    try:
        found = await maas.machine_listing(id=tuple(ids))
    except (MaasUnavailableError, MaasAuthError):
        raise
    except MaasError as error:
        # MAAS may not be able to show one of them, and answer 500 for all: each is read alone.
        logger.info("MAAS does not list %d machines together: %s", len(ids), error)
        return {}
    return {machine.system_id: machine for machine in found}


async def _newest_event_id(maas: MaasClient, keys: Collection[str]) -> Mapping[str, int]:
    return dict.fromkeys(keys, await maas.newest_event_id())


async def _whoami(maas: MaasClient, keys: Collection[str]) -> Mapping[str, User]:
    return dict.fromkeys(keys, await maas.whoami())
