"""The watcher's reads of machines and script sets, which run concurrently and do not delay events."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Final

import anyio
from anyio.abc import TaskGroup

from maas_mcp.errors import MaasAuthError, MaasError, MaasNotFoundError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import ScriptSetName, SystemId
from maas_mcp.operations.outages import is_answering
from maas_mcp.operations.watching.cadence import Cadence
from maas_mcp.operations.watching.grouping import MAX_MACHINES, plan_reads
from maas_mcp.operations.watching.subscription import Subscription

logger = logging.getLogger(__name__)

REQUESTS: Final = 2
"""Maximum concurrent reads: half of the client's limit, so that slow reads do not delay an urgent one."""
SCRIPTS_SHARE: Final = 0.5
"""Maximum part of an interval for reading script sets: each one is a separate request."""


class MachineReads:
    """Reads due machines and script sets concurrently with the ticks. A subscription has at most one read at a time.

    Args:
        maas: The region; its reads are not retried.
        cadence: The intervals.
        answered: Called when MAAS has responded.
        changed: Called when a read shows a change.
        failed: Called with the error when a read fails.
    """

    def __init__(
        self,
        maas: MaasClient,
        cadence: Cadence,
        *,
        answered: Callable[[], None],
        changed: Callable[[], None],
        failed: Callable[[MaasError], None],
    ) -> None:
        self._maas = maas
        self._cadence = cadence
        self._answered = answered
        self._changed = changed
        self._failed = failed
        self._limiter = anyio.CapacityLimiter(REQUESTS)
        self._waiting: set[Subscription] = set()
        self._routine_at = 0.0
        self._batch_size = MAX_MACHINES
        self._reading_sets = False

    def is_waiting(self, subscription: Subscription) -> bool:
        """Whether a read of the subscription's machine is in progress."""
        return subscription in self._waiting

    def start_due(self, followed: Sequence[Subscription], tasks: TaskGroup) -> None:
        """Start the reads that are due and not in progress."""
        now = anyio.current_time()
        free = [each for each in followed if not self.is_waiting(each)]
        groups = plan_reads(free, now, self._cadence.reconcile, routine=now >= self._routine_at, most=self._batch_size)
        for ids in groups.urgent:
            tasks.start_soon(self._read_machines, ids, self._reserve(free, ids))
        if groups.routine:
            self._routine_at = math.inf
            tasks.start_soon(self._read_routine, [(ids, self._reserve(free, ids)) for ids in groups.routine])
        if not self._reading_sets and any(each.sets_to_read(now) for each in followed):
            tasks.start_soon(self._read_script_sets, followed)

    def _reserve(self, free: Sequence[Subscription], ids: Sequence[SystemId]) -> list[Subscription]:
        wanted = frozenset(ids)
        taken = [each for each in free if each.system_id in wanted]
        self._waiting.update(taken)
        return taken

    async def _read_routine(self, groups: Sequence[tuple[Sequence[SystemId], Sequence[Subscription]]]) -> None:
        """Read machines that can wait, then pause to limit the load on MAAS."""
        began = anyio.current_time()
        try:
            async with anyio.create_task_group() as tasks:
                for ids, subscriptions in groups:
                    tasks.start_soon(self._read_machines, ids, subscriptions)
        finally:
            now = anyio.current_time()
            self._routine_at = now + self._cadence.read_pause * (now - began)

    async def _read_machines(self, ids: Sequence[SystemId], subscriptions: Sequence[Subscription]) -> None:
        """Read machines in one request."""
        try:
            async with self._limiter:
                began = anyio.current_time()
                found = await self._maas.machine_listing(id=ids)
        except MaasError as error:
            if len(ids) > 1:
                # A proxy may time out, or MAAS may fail for one of them. Smaller requests let the others succeed.
                self._batch_size = min(self._batch_size, len(ids) // 2)
            for subscription in subscriptions:
                subscription.alone = len(ids) == 1
                subscription.note_outage(answering=is_answering(error))
            self._failed(error)
            return
        finally:
            self._waiting.difference_update(subscriptions)
        self._answered()
        if len(ids) == self._batch_size:
            self._batch_size = min(MAX_MACHINES, self._batch_size * 2)
        current = [subscription for subscription in subscriptions if subscription.changed_at <= began]
        machines = {machine.system_id: machine for machine in found}
        # A machine whose entry is invalid was not deleted: it is read again, as after an outage.
        unreadable = {
            each for each in subscriptions if each.system_id not in machines and found.may_hide(each.system_id)
        }
        news = [each.add_machine(machines.get(each.system_id)) for each in current if each not in unreadable]
        for subscription in subscriptions:
            if subscription in unreadable:
                subscription.note_outage(answering=True)
            else:
                subscription.note_answered(began)
        if any(news):
            self._changed()

    async def _read_script_sets(self, followed: Sequence[Subscription]) -> None:
        """Read the script sets that are due, the longest waiting first, until the time share is used up."""
        began = anyio.current_time()
        due = [(each, names) for each in followed if (names := each.sets_to_read(began))]
        self._reading_sets = True
        try:
            for subscription, names in sorted(due, key=lambda pair: pair[0].sets_due):
                if anyio.current_time() > began + self._cadence.interval * SCRIPTS_SHARE:
                    return
                subscription.schedule_sets()
                for name in names:
                    await self._read_script_set(subscription, name)
        finally:
            self._reading_sets = False

    async def _read_script_set(self, subscription: Subscription, name: ScriptSetName) -> None:
        """Read one script set. The operation is followed even if this fails."""
        try:
            async with self._limiter:
                scripts = await self._maas.script_set(subscription.system_id, name)
        except MaasAuthError as error:
            self._failed(error)
        except MaasNotFoundError:
            subscription.urgent = True  # the machine may have been deleted
        except MaasError as error:
            logger.info("the %s script set of %s could not be read: %s", name, subscription.system_id, error)
        else:
            self._answered()
            subscription.add_script_set(name, scripts)
