"""A test bench: an engine that follows the machines of an in-process region on a virtual clock."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.batches.group import BatchEngine
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.declaring.tool import Tool, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.strategies import PollingStrategy
from maas_mcp.operations.progress import Progress, ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.run_change import Publish, discard_change
from maas_mcp.operations.running.start_requests import StartRequests
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.timing import Timing
from maas_mcp.operations.watching.watcher import Watcher
from maas_mcp.policy.configuration import Policy, Protection
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import POLL_INTERVAL, connector, settings_for
from maas_simulator import SimulatedRegion

TIMING = Timing()
"""The timing of operations in production."""


def client_of(region: SimulatedRegion, username: str = "admin") -> MaasClient:
    """Create a client of an in-process region. Only its socket is simulated."""
    return connector(region)(settings_for(region, username).require_region(), None)


def engine_of(
    maas: MaasClient,
    tasks: anyio.abc.TaskGroup,
    *,
    now: Callable[[], float] = anyio.current_time,
    polling: PollingStrategy | None = None,
    publish: Publish = discard_change,
    interval: float = POLL_INTERVAL,
) -> tuple[Engine, BatchEngine]:
    """Create the engines of a new process."""
    watcher, requests = Watcher(maas, interval=interval), StartRequests(tasks, now=now, timing=TIMING)
    tasks.start_soon(watcher.run)
    engine = Engine(maas, watcher, requests, polling=polling, publish=publish, now=now)
    return engine, BatchEngine(engine, maas, requests, tasks, now=now)


@dataclass
class House:
    """A region, an engine on it, and the progress of the latest operation."""

    region: SimulatedRegion
    maas: MaasClient
    engine: Engine
    batches: BatchEngine
    tasks: anyio.abc.TaskGroup
    operation: type[Operation[Any, Any]]
    """The default operation of :meth:`run`."""
    reported: list[Progress] = field(default_factory=list)
    token: CancellationToken = field(default_factory=CancellationToken)
    options: dict[str, Any] = field(default_factory=dict)
    """Additional arguments for the engine's ``run``."""
    now: Callable[[], float] = anyio.current_time
    """The clock for times in handles."""
    handle: Handle | None = None
    """The handle of the latest operation."""

    async def run(self, name: str, operation: type[Operation[Any, Any]] | None = None, **arguments: Any) -> Any:
        """Run an operation on the machine called ``name``, as the server does."""

        async def send(progress: Progress) -> None:
            self.reported.append(progress)

        progress = ProgressReporter(send)
        operation = operation or self.operation
        arguments = {"system_id": self.region.machine(name).system_id, **arguments}
        async with progress.reporting():
            outcome = await self.engine.run(
                operation(), operation.arguments.model_validate(arguments), progress, self.token, **self.options
            )
            self.handle = outcome.handle
            return outcome.result or outcome

    async def call(self, tool: type[Tool[Any, Any]], name: str | None = None, /, **arguments: Any) -> Any:
        """Call a tool as the server does, for the machine called ``name`` if it is given."""

        async def send(progress: Progress) -> None:
            self.reported.append(progress)

        if name is not None:
            arguments["system_id"] = self.region.machine(name).system_id
        progress = ProgressReporter(send)
        async with progress.reporting():
            ctx = ToolContext(self.maas, progress, self.token)
            return await tool().run(ctx, tool.arguments.model_validate(arguments))

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Call a function after a delay, in the background."""

        async def later() -> None:
            await anyio.sleep(seconds)
            act()

        self.tasks.start_soon(later)

    async def under_way(self, *operations: Operation[Any, Any], process: Engine | None = None) -> list[Handle]:
        """Return the operations that a survey of the machines finds, in another process if one is given."""
        engine = process or self.engine
        seen = await engine.survey(operations)
        return [each.handle for each in engine.find_running(seen, operations)]

    async def batches_under_way(
        self, *batches: BatchOperation[Any, Any], process: BatchEngine | None = None
    ) -> list[Handle]:
        """Return the batches that a survey of the machines finds, in another process if one is given."""
        seen = await self.engine.survey([batch.each() for batch in batches], {MachineStatus.ALLOCATED})
        found = await (process or self.batches).find_running(seen, batches)
        return [each.handle for each in found.statuses]

    def poll_with(self, polling: PollingStrategy | None) -> None:
        """Use this strategy for all operations from now on, as ``MAAS_MCP_POLLING`` does."""
        self.engine, self.batches = engine_of(self.maas, self.tasks, now=self.now, polling=polling)

    @property
    def messages(self) -> list[str]:
        return [progress.message for progress in self.reported]

    def requests(self, op: str | None = None, method: str = "GET") -> int:
        return len([each for each in self.region.requests if each.method == method and op in (None, each.op)])

    @property
    def machine_reads(self) -> int:
        """The number of reads of single machines. The watcher reads lists."""
        return len([each for each in self.region.requests if each.template == "machines/{system_id}/" and not each.op])

    @property
    def posted(self) -> list[tuple[str | None, dict[str, list[str]]]]:
        """The posted operations with their forms."""
        return [(each.op, each.form) for each in self.region.requests if each.method == "POST"]

    @property
    def posts(self) -> int:
        return self.requests(method="POST")


async def resumed(
    house: House, wait: float | None = 0.0, operation: type[Operation[Any, Any]] | None = None
) -> OperationStatus[Any]:
    """Resume the latest operation in a new process, and return its status."""
    reported: list[Progress] = []

    async def send(progress: Progress) -> None:
        reported.append(progress)

    assert house.handle
    house.reported = reported
    engine, _ = engine_of(client_of(house.region), house.tasks, now=house.now)
    progress = ProgressReporter(send)
    async with progress.reporting():
        one = (operation or house.operation)()
        return await engine.resume(one, house.handle, progress, CancellationToken(), wait=wait)


@asynccontextmanager
async def opened(operation: type[Operation[Any, Any]]) -> AsyncIterator[House]:
    """Open a bench with twelve machines, on which a deployment takes ten minutes of virtual time."""
    with MaasRegion() as region:
        async with region.host() as host, anyio.create_task_group() as tasks:
            # The engine is run without the chain, which would have judged the machines by the policy.
            unprotected = Policy(protect=Protection(tags=()))
            host.host.policy.use(host.settings.model_copy(update={"policy": unprotected}))
            yield House(
                region, host.tenant.maas, host.tenant.engine, host.tenant.batches, tasks, operation, now=host.now
            )
            tasks.cancel_scope.cancel()
