"""The three kinds of operations that the engines run: on a machine, on the region, and on a batch of machines.

An adapter describes each kind: how it starts, which requests MAAS receives, what another user can do to it, and what
MAAS shows.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Final, Literal, NamedTuple

import pytest
from pydantic import BaseModel
from typing_extensions import override

from maas_mcp.errors import MaasMcpError, OperationFailedError, OperationRefusedError
from maas_mcp.operations.batches.batch import BatchOperation, Member, new_name
from maas_mcp.operations.batches.group import BatchEngine
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import Progress, ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import Fault
from maas_simulator.model.faults import Latency
from maas_simulator.model.images import MIRROR, OLD_VERSION
from tests.house import House, client_of, engine_of
from tests.unit.core.operations.declared import Arguments, Deploy
from tests.unit.core.operations.fetching import NOBLE, Fetch, NoArguments

Shown = Literal["untouched", "at work", "done", "stopped", "several things"]
"""The state that MAAS shows."""
MACHINES: Final = ("node01", "node02")
"""The machines of a batch. The operation on a machine uses the first. All are Ready."""
BUSY_MACHINES: Final = ("node03", "node04")
"""The machines of the requests that take all turns."""


class Process(NamedTuple):
    """The engines of one server."""

    engine: Engine
    batches: BatchEngine


class Kind(ABC):
    """One kind of operation."""

    operation: ClassVar[type[LongRunning[Any, Any]]]
    op: ClassVar[str]
    """MAAS's op of the start request."""
    abort_op: ClassVar[str]
    """MAAS's op of the abort request."""
    size: ClassVar[int] = 1
    """The number of start requests."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.region = house.region
        self.here = Process(house.engine, house.batches)
        self.token = CancellationToken()
        """Cancels :meth:`run`."""
        self.reported: list[Progress] = []
        """The progress notifications of all calls."""

    async def run(
        self, process: Process | None = None, *, wait: float | None = None, on_cancel: CancelPolicy | None = None
    ) -> OperationStatus[Any]:
        """Start it, and follow it for so many seconds or to its end."""
        progress = ProgressReporter(self._note)
        async with progress.reporting():
            return await self._run(process or self.here, progress, wait, on_cancel)

    async def resume(
        self, handle: Handle, process: Process | None = None, *, wait: float | None = 0.0
    ) -> OperationStatus[Any]:
        """Pick it up, and follow it for so many seconds or to its end."""
        progress = ProgressReporter(self._note)
        async with progress.reporting():
            return await self._resume(process or self.here, handle, progress, wait)

    @abstractmethod
    async def abort(self, handle: Handle, process: Process | None = None) -> None:
        """Abort it by its handle."""

    def on_all(self, error: type[MaasMcpError]) -> type[MaasMcpError]:
        """The error class if every machine has this error."""
        return error

    def another_process(self) -> Process:
        """A new server: another replica, or this one after a restart."""
        return Process(*engine_of(client_of(self.region), self.house.tasks, now=self.house.now))

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Call a function after some seconds."""
        self.house.after(seconds, act)

    def add_fault(self, **known_fault: Any) -> None:
        """Add a fault to each start request."""
        self.region.faults.append(Fault(op=self.op, method="POST", times=self.size, **known_fault))

    def refuse(self, after: float = 0.0) -> None:
        """Let MAAS refuse the start request after some seconds."""
        self.add_fault(status=400, body='{"comment": ["MAAS does not want to."]}', delay=Latency(after))

    def do_nothing(self) -> None:
        """Let MAAS accept the start request without an effect."""
        self.add_fault(status=200, body="{}")

    def hold(self, seconds: float) -> None:
        """Let MAAS hold each start request for some seconds."""
        self.region.hold(op=self.op, before=seconds)

    def start_outage(self) -> None:
        """Make MAAS unreachable."""
        self.region.faults.append(Fault(status=503, times=None))

    def revoke_key(self, body: str) -> None:
        """Make MAAS reject the API key."""
        self.region.faults.append(Fault(status=401, body=body, times=None))

    def delay_reads(self, seconds: float) -> None:
        """Delay each read."""
        self.region.faults.append(Fault(method="GET", delay=Latency(seconds), times=None))

    async def take_all_turns(self, seconds: float) -> None:
        """Let MAAS hold other requests until no turn is free."""
        self.region.hold(op="deploy", before=seconds)
        for name in BUSY_MACHINES:
            args = Arguments(system_id=self.region.machine(name).system_id)
            await self.here.engine.run(Deploy(), args, ProgressReporter(self._note), CancellationToken(), wait=0.0)
        self.reported.clear()

    @property
    def turns_taken(self) -> int:
        """The number of these other requests."""
        paths = tuple(f"machines/{self.region.machine(name).system_id}/" for name in BUSY_MACHINES)
        return len([each for each in self.region.requests if each.op == "deploy" and each.path.endswith(paths)])

    @property
    def starts(self) -> int:
        """The number of start requests that MAAS received."""
        return self._sent(self.op)

    @property
    def aborts(self) -> int:
        """The number of abort requests that MAAS received."""
        return self._sent(self.abort_op)

    @property
    def messages(self) -> list[str]:
        """The progress messages."""
        return [each.message for each in self.reported]

    @abstractmethod
    def shows(self) -> Shown:
        """The state that MAAS shows now."""

    @abstractmethod
    def start_outside(self) -> None:
        """Start the same operation by another program of the same user."""

    @abstractmethod
    def stop_outside(self) -> None:
        """Stop it as another user."""

    @abstractmethod
    def run_next(self) -> None:
        """Start the next run after this one."""

    def take_over(self) -> None:
        """Take it over as another user, and start the same operation."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the machines."""
        raise NotImplementedError

    def fail(self, reason: str) -> None:
        """Make it fail in MAAS."""
        raise NotImplementedError

    @abstractmethod
    async def _run(
        self, process: Process, progress: ProgressReporter, wait: float | None, on_cancel: CancelPolicy | None
    ) -> OperationStatus[Any]: ...

    @abstractmethod
    async def _resume(
        self, process: Process, handle: Handle, progress: ProgressReporter, wait: float | None
    ) -> OperationStatus[Any]: ...

    @property
    @abstractmethod
    def _paths(self) -> Sequence[str]:
        """The ends of the request paths."""

    def _sent(self, op: str) -> int:
        posts = [each.path for each in self.region.requests if each.method == "POST" and each.op == op]
        return len([path for path in posts if path.endswith(tuple(self._paths))])

    async def _note(self, progress: Progress) -> None:
        self.reported.append(progress)


class OfEngine(Kind):
    """An operation that the engine runs without a batch."""

    @property
    @abstractmethod
    def args(self) -> Any:
        """The arguments of :attr:`operation`."""

    @override
    async def abort(self, handle: Handle, process: Process | None = None) -> None:
        await (process or self.here).engine.abort(self.operation(), handle, CancellationToken())

    @override
    async def _run(
        self, process: Process, progress: ProgressReporter, wait: float | None, on_cancel: CancelPolicy | None
    ) -> OperationStatus[Any]:
        return await process.engine.run(
            self.operation(), self.args, progress, self.token, wait=wait, on_cancel=on_cancel
        )

    @override
    async def _resume(
        self, process: Process, handle: Handle, progress: ProgressReporter, wait: float | None
    ) -> OperationStatus[Any]:
        return await process.engine.resume(self.operation(), handle, progress, CancellationToken(), wait=wait)


class OnMachines(Kind):
    """A deployment of one or more machines."""

    op = "deploy"
    abort_op = "abort"
    machines: ClassVar[Sequence[str]]

    @property
    def ids(self) -> list[str]:
        """The system ids of the machines, even after their deletion."""
        return [self._ids[name] for name in self.machines]

    @override
    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._ids = {name: house.region.machine(name).system_id for name in MACHINES}

    @override
    def shows(self) -> Shown:
        meaning: dict[str, Shown] = {
            "Ready": "untouched",
            "Deploying": "at work",
            "Deployed": "done",
            "Allocated": "stopped",
        }
        found = {self.region.machine(name).status_name for name in self.machines}
        return meaning[found.pop()] if len(found) == 1 else "several things"

    @property
    def owners(self) -> set[str | None]:
        """The owners of the machines."""
        return {self.region.machine(name).owner for name in self.machines}

    @override
    def start_outside(self) -> None:
        for name in self.machines:
            self.region.deploy(name, "admin")

    @override
    def stop_outside(self) -> None:
        for name in self.machines:
            self.region.abort(name, "bob")

    @override
    def run_next(self) -> None:
        self.take_over()

    @override
    def take_over(self) -> None:
        for name in self.machines:
            self.region.take_over(name, "bob")

    @override
    def delete(self) -> None:
        for name in self.machines:
            self.region.delete(name)

    @override
    def fail(self, reason: str) -> None:
        for name in self.machines:
            self.region.plan(name, fail="Installing OS", reason=reason)

    @property
    @override
    def _paths(self) -> Sequence[str]:
        return [f"machines/{each}/" for each in self.ids]


class OnMachine(OfEngine, OnMachines):
    """An operation on one machine."""

    operation = Deploy
    machines = MACHINES[:1]

    @property
    @override
    def args(self) -> Arguments:
        return Arguments(system_id=self.ids[0])


class OfRegion(OfEngine):
    """An operation on the region: the import of images."""

    operation = Fetch
    op = "import"
    abort_op = "stop_import"

    @property
    @override
    def args(self) -> NoArguments:
        return NoArguments()

    @override
    def shows(self) -> Shown:
        self.region.play()
        images = self.region.images
        mirrored = [each for each in images.resources if each.name in MIRROR]
        if images.importing:
            return "at work"
        if any(not file.complete for each in mirrored for files in each.versions.values() for file in files.values()):
            return "stopped"
        return "untouched" if any(OLD_VERSION in each.versions for each in mirrored) else "done"

    @override
    def start_outside(self) -> None:
        self.region.play()
        self.region.images.start()

    @override
    def stop_outside(self) -> None:
        self.region.play()
        self.region.images.stop()

    @override
    def run_next(self) -> None:
        self.start_outside()

    @override
    def do_nothing(self) -> None:
        """Make a file incomplete as well: an import without work would be a success."""
        super().do_nothing()
        noble = next(each for each in self.region.images.resources if each.id == NOBLE)
        noble.versions[OLD_VERSION]["squashfs"].complete = False

    @property
    @override
    def _paths(self) -> Sequence[str]:
        return ["boot-resources/"]


class AskedOfMany(BaseModel):
    """The machines to deploy."""

    system_ids: list[str]


class GotOfMany(BaseModel):
    """The numbers of deployed and failed machines."""

    succeeded: int
    failed: int


class DeployAll(BatchOperation[AskedOfMany, GotOfMany]):
    """Deploy several machines."""

    name = "maas_deploy_machines"
    each = Deploy

    def size(self, args: AskedOfMany) -> int:
        return len(args.system_ids)

    async def members(self, ctx: ToolContext, args: AskedOfMany, agent_name: str) -> Sequence[Arguments]:  # noqa: ARG002 - the hook
        label = self.label(agent_name)
        return [Arguments(system_id=each, agent_name=agent_name, comment=label) for each in args.system_ids]

    def result(self, members: Sequence[Member]) -> GotOfMany:
        succeeded = sum(each.state == "succeeded" for each in members)
        return GotOfMany(succeeded=succeeded, failed=len(members) - succeeded)


class OnBatch(OnMachines):
    """An operation on several machines."""

    operation = DeployAll
    machines = MACHINES
    size = len(MACHINES)

    @override
    def on_all(self, error: type[MaasMcpError]) -> type[MaasMcpError]:
        return OperationFailedError

    @override
    async def abort(self, handle: Handle, process: Process | None = None) -> None:
        await (process or self.here).batches.abort(DeployAll(), handle, CancellationToken())

    @override
    async def _run(
        self, process: Process, progress: ProgressReporter, wait: float | None, on_cancel: CancelPolicy | None
    ) -> OperationStatus[Any]:
        args = AskedOfMany(system_ids=self.ids)
        name = new_name(DeployAll(), args)
        return await process.batches.run(
            DeployAll(), args, progress, self.token, name=name, wait=wait, on_cancel=on_cancel
        )

    @override
    async def _resume(
        self, process: Process, handle: Handle, progress: ProgressReporter, wait: float | None
    ) -> OperationStatus[Any]:
        return await process.batches.resume(DeployAll(), handle, progress, CancellationToken(), wait=wait)


KINDS: Final[dict[str, type[Kind]]] = {"machine": OnMachine, "region": OfRegion, "batch": OnBatch}


def of_each_kind(**marks: pytest.MarkDecorator) -> pytest.MarkDecorator:
    """Run a story for each kind. ``marks`` has the kinds, by name, for which the story does not exist or fails."""
    unknown = marks.keys() - KINDS.keys()
    if unknown:
        raise ValueError(f"expected some of {', '.join(KINDS)}, but got {', '.join(unknown)}")
    params = [pytest.param(each, id=name, marks=marks.get(name, ())) for name, each in KINDS.items()]
    return pytest.mark.parametrize("kind", params, indirect=True)


def not_applicable(reason: str) -> pytest.MarkDecorator:
    """Skip a story that does not exist for a kind."""
    return pytest.mark.skip(reason=reason)


def text_of(error: MaasMcpError) -> str:
    """The whole text of an error. A batch has the errors of its machines in ``maas_says``."""
    return "\n".join(filter(None, [error.message, error.maas_says, error.hint]))


def refused_unless_batch(kind: Kind) -> AbstractContextManager[object]:
    """Expect a refusal to abort an ended operation. An ended batch is not refused, since its machines may differ."""
    return nullcontext() if isinstance(kind, OnBatch) else pytest.raises(OperationRefusedError)
