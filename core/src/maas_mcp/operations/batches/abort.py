"""Aborting a batch: what was not sent never goes out, what MAAS has is aborted, also where it begins only later.

It goes on in the server when the call that asked for it waits no longer: MAAS may hold an order for minutes.
"""

import logging
from collections.abc import Collection
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from maas_mcp.errors import MaasError, MaasMcpError, MaasProtocolError, OperationRefusedError, OperationRevertedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.maas.reading import LeftOut
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.batches.allocation import release_idle
from maas_mcp.operations.batches.members import of_batch
from maas_mcp.operations.batches.requests import BatchRequests
from maas_mcp.operations.cancellation import CancellationToken, is_cancellation
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.declaring.tool import plugin_error
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.start_requests import RequestState, StartRequest, StartRequests

logger = logging.getLogger(__name__)

ABORTS_AT_ONCE: Final = 3
"""Aborts that MAAS is sent at the same time: it powers a machine off before it answers."""


class Stopping:
    """A batch being aborted.

    Args:
        each: What was requested for each machine.
        handle: The batch's.
        engine: Aborts the members.
        maas: The region.
        requests: Those that the process has made for its batches.
        of_all: All that it has made.
    """

    def __init__(
        self,
        each: Operation[Any, Any],
        handle: Handle,
        engine: Engine,
        maas: MaasClient,
        *,
        requests: BatchRequests,
        of_all: StartRequests,
    ) -> None:
        self._each, self._handle, self._name = each, handle, handle.system_id
        self._engine, self._maas = engine, maas
        self._requests, self._of_all = requests, of_all
        self._timing = of_all.timing
        self.settled = anyio.Event()
        """Nothing is left, or nothing but waiting for what MAAS holds."""
        self.failures: dict[SystemId, MaasMcpError] = {}
        """Why a machine could not be aborted so far; of no machine: why MAAS could not be asked."""
        self._unreadable: dict[SystemId, LeftOut] = {}
        """What MAAS lists in a way that cannot be read."""
        self._started: set[SystemId] = set()
        """Machines that stay as they are: what was begun on them has ended, or is aborted."""
        self._tried: set[SystemId] = set()
        self._at_work = 0
        """How much of it MAAS has not answered."""
        self._news = anyio.Event()
        self._limiter = anyio.CapacityLimiter(ABORTS_AT_ONCE)

    async def run(self) -> None:
        """Abort all of it, and give back what was not begun on. Does not raise."""
        try:
            await self.withdraw()
            async with anyio.create_task_group() as tasks:
                late = await self._poll_until_over(tasks)
            if late:
                await self._give_back(())
        except Exception:
            logger.exception("%s could not be aborted", self._name)
        finally:
            self.settled.set()
        for system_id, error in self.failures.items():
            logger.warning("%s: %s could not be aborted: %s", self._name, system_id or "machines", error)

    async def withdraw(self) -> None:
        """Make sure that no further request is sent."""
        reason = OperationRevertedError("The batch was aborted before this machine's turn came: nothing was begun.")
        for request in self._requests.of(self._name):
            await request.withdraw(reason)

    async def _poll_until_over(self, tasks: TaskGroup) -> set[SystemId]:
        """Abort what a look shows; answers on which machines more was expected after the first one."""
        began = answered = anyio.current_time()
        timing = self._timing
        awaited: set[SystemId] | None = None
        while True:
            self._news = anyio.Event()
            expected = self._expected()
            if awaited is None or awaited or self.failures:
                ids = None if awaited is None else awaited | set(self.failures) - {""}
                if await self._poll(tasks, ids):
                    answered = anyio.current_time()
                    if awaited is None:
                        self._start(tasks, self._give_back, expected)
                    awaited = (awaited or set()) | expected
            now = anyio.current_time()
            patient = now < (began if awaited is not None and not expected else answered) + timing.batch_abort_silence
            if not (self._at_work or (expected and patient) or (self._may_pass and patient)):
                return awaited or set()
            if not self._at_work and now >= began + timing.batch_abort_settled:
                self.settled.set()
            with anyio.move_on_after(timing.batch_abort_again):
                await self._news.wait()

    @property
    def _may_pass(self) -> bool:
        """Whether trying again may help."""
        return any(isinstance(each, MaasError) and each.may_pass for each in self.failures.values())

    def _expected(self) -> set[SystemId]:
        """Machines on which MAAS may begin yet."""
        open_requests = [each for each in self._requests.of(self._name) if each.may_yet_begin]
        latest = [each for each in open_requests if self._is_latest(each)]
        return {each.handle.system_id for each in latest} - self._started

    def _is_latest(self, request: StartRequest) -> bool:
        """Whether the same was not requested again of its machine."""
        latest = self._of_all.latest(request.handle.operation, request.handle.system_id)
        return latest is None or latest is request

    async def _poll(self, tasks: TaskGroup, ids: Collection[SystemId] | None) -> bool:
        """Start aborting what is under way on these machines, or on any of the batch; whether MAAS has answered."""
        try:
            found = await self._maas.machine_listing(agent_name=self._name, id=None if ids is None else sorted(ids))
        except MaasError as error:
            self.failures[""] = error
            return False
        for system_id in ["", *self._unreadable]:
            self.failures.pop(system_id, None)
        self._unreadable = {str(each.identity or ""): each for each in found.left_out}
        for system_id, each in self._unreadable.items():
            self.failures[system_id] = MaasProtocolError(f"{each}, so what it is doing is unknown: it was not aborted.")
        for machine in found:
            if machine.status is not MachineStatus.ALLOCATED:
                self._started.add(machine.system_id)
            if machine.status in self._each.lifecycle.pending and machine.system_id not in self._tried:
                self._tried.add(machine.system_id)
                self._start(tasks, self._abort, machine.system_id)
        return True

    async def _abort(self, system_id: SystemId) -> None:
        request = self._requests.on(self._name, system_id)
        own = request.handle if request else of_batch(self._each.name, system_id, self._handle)
        try:
            async with self._limiter:
                await self._engine.abort(self._each, own, CancellationToken())
        except OperationRefusedError as error:  # it is over, or somebody else's by now
            logger.info("%s: %s", self._name, error)
        except MaasMcpError as error:
            self.failures[system_id] = error
            if isinstance(error, MaasError) and error.may_pass:
                self._tried.discard(system_id)
        except BaseException as error:
            if is_cancellation(error):
                raise
            logger.exception("%s could not be aborted on %s", self._each.name, system_id)
            self.failures[system_id] = plugin_error(self._each.name, error)
        else:
            self.failures.pop(system_id, None)

    async def _give_back(self, expected: Collection[SystemId]) -> None:
        requests = self._requests.of(self._name)
        accepted = {each.handle.system_id for each in requests if each.state is RequestState.ACCEPTED}
        with anyio.move_on_after(self._timing.release_limit):
            await release_idle(self._maas, self._name, self._timing, keep=self._started | accepted | set(expected))

    def _start(self, tasks: TaskGroup, act: Any, arg: Any) -> None:
        async def counted() -> None:
            try:
                await act(arg)
            finally:
                self._at_work -= 1
                self._news.set()

        self._at_work += 1
        tasks.start_soon(counted)
