"""The abort of a batch: unsent requests are withdrawn, and runs are aborted, even those that MAAS starts later.

MAAS may hold a start request for minutes, so the abort continues in the server after its call has ended.
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
from maas_mcp.operations.batches.members import member_handle
from maas_mcp.operations.batches.requests import BatchRequests
from maas_mcp.operations.cancellation import CancellationToken, is_cancellation
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.declaring.tool import plugin_error
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.start_requests import RequestState, StartRequest, StartRequests

logger = logging.getLogger(__name__)

ABORTS_AT_ONCE: Final = 3
"""Concurrent abort requests: MAAS powers the machine off before it answers."""


class BatchAbort:
    """A batch being aborted.

    Args:
        each: The operation on each machine.
        handle: The batch.
        engine: Aborts the members.
        maas: The region.
        requests: The start requests of the process for its batches.
        of_all: All start requests of the process.
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
        """Set when everything is aborted, or when only requests that MAAS has not answered are left."""
        self.failures: dict[SystemId, MaasMcpError] = {}
        """The reason why a machine is not aborted yet; under ``""``, why MAAS cannot be reached."""
        self._unreadable: dict[SystemId, LeftOut] = {}
        """Listed machines that cannot be read."""
        self._started: set[SystemId] = set()
        """Machines that are not released: their run has ended or is being aborted."""
        self._tried: set[SystemId] = set()
        self._any_found = False
        self._running = 0
        """The number of aborts and releases that are running."""
        self._news = anyio.Event()
        self._limiter = anyio.CapacityLimiter(ABORTS_AT_ONCE)

    @property
    def only_released(self) -> bool:
        """Whether MAAS had started no machine of the batch, and all that were allocated are released."""
        return self._any_found and not (self._started or self.failures)

    async def run(self) -> None:
        """Abort the batch, and release the machines that were not started. Does not raise."""
        try:
            await self.withdraw()
            async with anyio.create_task_group() as tasks:
                late = await self._poll_until_over(tasks)
            if late:
                await self._release_unstarted(())
        except Exception:
            logger.exception("%s could not be aborted", self._name)
        finally:
            self.settled.set()
        for system_id, error in self.failures.items():
            logger.warning("%s: %s could not be aborted: %s", self._name, system_id or "machines", error)

    async def withdraw(self) -> None:
        """Withdraw all requests that were not sent."""
        reason = OperationRevertedError(
            "The batch was aborted before this machine's request was sent: nothing was started."
        )
        for request in self._requests.for_batch(self._name):
            await request.withdraw(reason)

    async def _poll_until_over(self, tasks: TaskGroup) -> set[SystemId]:
        """Poll and abort until the batch is over. Returns the machines that had not started at the first poll."""
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
                        self._start(tasks, self._release_unstarted, expected)
                    awaited = (awaited or set()) | expected
            now = anyio.current_time()
            waits_on = now < (began if awaited is not None and not expected else answered) + timing.batch_abort_silence
            if not (self._running or (expected and waits_on) or (self._may_pass and waits_on)):
                return awaited or set()
            if not self._running and now >= began + timing.batch_abort_settled:
                self.settled.set()
            with anyio.move_on_after(timing.batch_abort_again):
                await self._news.wait()

    @property
    def _may_pass(self) -> bool:
        """Whether another try may succeed."""
        return any(isinstance(each, MaasError) and each.may_pass for each in self.failures.values())

    def _expected(self) -> set[SystemId]:
        """Machines on which MAAS may still start the operation."""
        open_requests = [each for each in self._requests.for_batch(self._name) if each.may_still_start]
        latest = [each for each in open_requests if self._is_latest(each)]
        return {each.handle.system_id for each in latest} - self._started

    def _is_latest(self, request: StartRequest) -> bool:
        """Whether the operation was not requested again on the machine."""
        latest = self._of_all.latest(request.handle.operation, request.handle.system_id)
        return latest is None or latest is request

    async def _poll(self, tasks: TaskGroup, ids: Collection[SystemId] | None) -> bool:
        """Start aborts on these machines, or on all of the batch. Returns whether MAAS answered."""
        try:
            found = await self._maas.machine_listing(agent_name=self._name, id=None if ids is None else sorted(ids))
        except MaasError as error:
            self.failures[""] = error
            return False
        for system_id in ["", *self._unreadable]:
            self.failures.pop(system_id, None)
        self._unreadable = {str(each.identity or ""): each for each in found.left_out}
        for system_id, each in self._unreadable.items():
            self.failures[system_id] = MaasProtocolError(f"{each}, so its state is unknown and it was not aborted.")
        for machine in found:
            self._any_found = True
            if machine.status is not MachineStatus.ALLOCATED:
                self._started.add(machine.system_id)
            if machine.status in self._each.lifecycle.pending and machine.system_id not in self._tried:
                self._tried.add(machine.system_id)
                self._start(tasks, self._abort, machine.system_id)
        return True

    async def _abort(self, system_id: SystemId) -> None:
        request = self._requests.for_machine(self._name, system_id)
        own_handle = request.handle if request else member_handle(self._each.name, system_id, self._handle)
        try:
            async with self._limiter:
                await self._engine.abort(self._each, own_handle, CancellationToken())
        except OperationRefusedError as error:  # it has ended, or another user has it
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

    async def _release_unstarted(self, expected: Collection[SystemId]) -> None:
        requests = self._requests.for_batch(self._name)
        accepted = {each.handle.system_id for each in requests if each.state is RequestState.ACCEPTED}
        with anyio.move_on_after(self._timing.release_limit):
            await release_idle(self._maas, self._name, self._timing, keep=self._started | accepted | set(expected))

    def _start(self, tasks: TaskGroup, act: Any, arg: Any) -> None:
        async def counted() -> None:
            try:
                await act(arg)
            finally:
                self._running -= 1
                self._news.set()

        self._running += 1
        tasks.start_soon(counted)
