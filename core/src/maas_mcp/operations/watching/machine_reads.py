"""The watcher's reads of machines and script sets: they take the time that MAAS takes, and hold up no events."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Final

import anyio
from anyio.abc import TaskGroup

from maas_mcp.errors import MaasAuthError, MaasError, MaasNotFoundError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import ScriptSetName, SystemId
from maas_mcp.operations.outages import answers
from maas_mcp.operations.watching.cadence import Cadence
from maas_mcp.operations.watching.grouping import MACHINES, plan
from maas_mcp.operations.watching.subscription import Subscription

logger = logging.getLogger(__name__)

REQUESTS: Final = 2
"""Reads at once: half of what the client sends at once, so that one that is slow does not hold up an urgent one."""
SCRIPTS_SHARE: Final = 0.5
"""How much of an interval the reading of script sets may take: each is a request of its own."""


class Reads:
    """Reads what is due, beside the ticks of the watcher; nothing is read twice at the same time for one follower.

    Args:
        maas: The region, each read tried once.
        cadence: How often.
        answered: Told when MAAS has answered.
        changed: Told when a read shows something new.
        failed: Told what MAAS answered instead.
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
        self._calm_at = 0.0
        self._together = MACHINES
        self._at_sets = False

    def is_waiting(self, subscription: Subscription) -> bool:
        """Whether a read of its machine is under way."""
        return subscription in self._waiting

    def begin(self, followed: Sequence[Subscription], tasks: TaskGroup) -> None:
        """Begin what is due and not under way."""
        now = anyio.current_time()
        free = [each for each in followed if not self.is_waiting(each)]
        groups = plan(free, now, self._cadence.reconcile, calm=now >= self._calm_at, most=self._together)
        for ids in groups.urgent:
            tasks.start_soon(self._machines, ids, self._taken(free, ids))
        if groups.unhurried:
            self._calm_at = math.inf
            tasks.start_soon(self._unhurried, [(ids, self._taken(free, ids)) for ids in groups.unhurried])
        if not self._at_sets:
            tasks.start_soon(self._script_sets, followed)

    def _taken(self, free: Sequence[Subscription], ids: Sequence[SystemId]) -> list[Subscription]:
        wanted = frozenset(ids)
        taken = [each for each in free if each.system_id in wanted]
        self._waiting.update(taken)
        return taken

    async def _unhurried(self, groups: Sequence[tuple[Sequence[SystemId], Sequence[Subscription]]]) -> None:
        """Read what nobody waits for, and then leave MAAS in peace for a while."""
        began = anyio.current_time()
        try:
            async with anyio.create_task_group() as tasks:
                for ids, subscriptions in groups:
                    tasks.start_soon(self._machines, ids, subscriptions)
        finally:
            now = anyio.current_time()
            self._calm_at = now + self._cadence.rest * (now - began)

    async def _machines(self, ids: Sequence[SystemId], subscriptions: Sequence[Subscription]) -> None:
        """Read machines in one request."""
        try:
            async with self._limiter:
                began = anyio.current_time()
                found = await self._maas.machine_listing(id=ids)
        except MaasError as error:
            if len(ids) > 1:
                # Too many for a proxy's patience, or one among them cannot be shown: in parts the others come through.
                self._together = min(self._together, len(ids) // 2)
            for subscription in subscriptions:
                subscription.alone = len(ids) == 1
                subscription.add_outage(answering=answers(error))
            self._failed(error)
            return
        finally:
            self._waiting.difference_update(subscriptions)
        self._answered()
        if len(ids) == self._together:
            self._together = min(MACHINES, self._together * 2)
        current = [subscription for subscription in subscriptions if subscription.changed_at <= began]
        machines = {machine.system_id: machine for machine in found}
        # A machine that MAAS lists in a way that cannot be read is not gone: it is read again, as after an outage.
        unreadable = {
            each for each in subscriptions if each.system_id not in machines and found.may_hide(each.system_id)
        }
        news = [each.add_machine(machines.get(each.system_id)) for each in current if each not in unreadable]
        for subscription in subscriptions:
            if subscription in unreadable:
                subscription.add_outage(answering=True)
            else:
                subscription.answered(began)
        if any(news):
            self._changed()

    async def _script_sets(self, followed: Sequence[Subscription]) -> None:
        """Begin to read the script sets that are due, for a while: those that waited longest come first."""
        began = anyio.current_time()
        due = [(each, names) for each in followed if (names := each.sets_to_read(began))]
        self._at_sets = True
        try:
            for subscription, names in sorted(due, key=lambda pair: pair[0].sets_due):
                if anyio.current_time() > began + self._cadence.interval * SCRIPTS_SHARE:
                    return
                subscription.sets_were_asked()
                for name in names:
                    await self._script_set(subscription, name)
        finally:
            self._at_sets = False

    async def _script_set(self, subscription: Subscription, name: ScriptSetName) -> None:
        """Read one script set. It is an extra: without it the operation is followed all the same."""
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
