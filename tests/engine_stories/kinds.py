"""The three kinds of operations that the engines run: on a machine, of the region, and on a batch of machines.

An adapter describes each: how it is started, what MAAS is sent for it, what another user can do to it, and
what MAAS shows of it.
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
from tests.unit.core.operations.fetching import NOBLE, Fetch, Nothing

Shown = Literal["untouched", "at work", "done", "stopped", "several things"]
"""What MAAS shows of an operation."""
MACHINES: Final = ("node01", "node02")
"""The machines of a batch; the first is the one of the operation on a machine. All are Ready."""
OTHERS: Final = ("node03", "node04")
"""Machines for which MAAS can be sent as many requests at a time as it is sent."""


class Process(NamedTuple):
    """The engines of one server."""

    engine: Engine
    batches: BatchEngine


class Kind(ABC):
    """One kind of operation."""

    operation: ClassVar[type[LongRunning[Any, Any]]]
    op: ClassVar[str]
    """MAAS's name of the request that starts it."""
    undo: ClassVar[str]
    """MAAS's name of the request that stops it."""
    size: ClassVar[int] = 1
    """How many requests start it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.region = house.region
        self.here = Process(house.engine, house.batches)
        self.token = CancellationToken()
        """Stops what :meth:`run` follows."""
        self.reported: list[Progress] = []
        """The progress of all calls."""

    async def run(
        self, process: Process | None = None, *, wait: float | None = None, on_cancel: CancelPolicy | None = None
    ) -> OperationStatus[Any]:
        """Start it, and follow it for so many seconds or to its end."""
        progress = ProgressReporter(self._note)
        async with progress.reporting():
            return await self._run(process or self.here, progress, wait, on_cancel)

    async def ask(
        self, handle: Handle, process: Process | None = None, *, wait: float | None = 0.0
    ) -> OperationStatus[Any]:
        """Pick it up, and follow it for so many seconds or to its end."""
        progress = ProgressReporter(self._note)
        async with progress.reporting():
            return await self._ask(process or self.here, handle, progress, wait)

    @abstractmethod
    async def abort(self, handle: Handle, process: Process | None = None) -> None:
        """Abort it by its handle."""

    def on_all(self, error: type[MaasMcpError]) -> type[MaasMcpError]:
        """What is raised where each machine meets the same error, each in words of its own."""
        return error

    def another_process(self) -> Process:
        """A server that has seen nothing so far: another replica, or this one after a restart."""
        return Process(*engine_of(client_of(self.region), self.house.tasks, now=self.house.now))

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Let something happen meanwhile."""
        self.house.after(seconds, act)

    def spoil(self, **fault: Any) -> None:
        """Let each request that starts it meet a fault."""
        self.region.faults.append(Fault(op=self.op, method="POST", times=self.size, **fault))

    def refuse(self, after: float = 0.0) -> None:
        """Let MAAS refuse it, once it has held the request for so many seconds."""
        self.spoil(status=400, body='{"comment": ["MAAS does not want to."]}', delay=Latency(after))

    def do_nothing(self) -> None:
        """Let MAAS accept it, and not do it."""
        self.spoil(status=200, body="{}")

    def hold(self, seconds: float) -> None:
        """Let MAAS hold each request that starts it."""
        self.region.hold(op=self.op, before=seconds)

    def hide(self) -> None:
        """Let nothing of MAAS be reached from now on."""
        self.region.faults.append(Fault(status=503, times=None))

    def revoke_key(self, body: str) -> None:
        """Let MAAS accept the API key no longer."""
        self.region.faults.append(Fault(status=401, body=body, times=None))

    def delay_reads(self, seconds: float) -> None:
        """Let MAAS take its time for each read."""
        self.region.faults.append(Fault(method="GET", delay=Latency(seconds), times=None))

    async def take_all_turns(self, seconds: float) -> None:
        """Let MAAS hold so many other requests that it is sent no further one."""
        self.region.hold(op="deploy", before=seconds)
        for name in OTHERS:
            args = Arguments(system_id=self.region.machine(name).system_id)
            await self.here.engine.run(Deploy(), args, ProgressReporter(self._note), CancellationToken(), wait=0.0)
        self.reported.clear()

    @property
    def turns_taken(self) -> int:
        """How many of those other requests MAAS was sent."""
        paths = tuple(f"machines/{self.region.machine(name).system_id}/" for name in OTHERS)
        return len([each for each in self.region.requests if each.op == "deploy" and each.path.endswith(paths)])

    @property
    def starts(self) -> int:
        """How many requests to start it MAAS was sent."""
        return self._sent(self.op)

    @property
    def undos(self) -> int:
        """How many requests to stop it MAAS was sent."""
        return self._sent(self.undo)

    @property
    def messages(self) -> list[str]:
        """The texts of its progress."""
        return [each.message for each in self.reported]

    @abstractmethod
    def shows(self) -> Shown:
        """What MAAS shows now."""

    @abstractmethod
    def start_outside(self) -> None:
        """The same user starts the same by another program."""

    @abstractmethod
    def stop_outside(self) -> None:
        """Somebody stops it, and does not say so here."""

    @abstractmethod
    def run_next(self) -> None:
        """Somebody starts the next one, once this is over."""

    def take_over(self) -> None:
        """Another user takes it over, and starts the same."""
        raise NotImplementedError

    def delete(self) -> None:
        """Somebody deletes what it runs on."""
        raise NotImplementedError

    def fail(self, reason: str) -> None:
        """Let it fail in MAAS."""
        raise NotImplementedError

    @abstractmethod
    async def _run(
        self, process: Process, progress: ProgressReporter, wait: float | None, on_cancel: CancelPolicy | None
    ) -> OperationStatus[Any]: ...

    @abstractmethod
    async def _ask(
        self, process: Process, handle: Handle, progress: ProgressReporter, wait: float | None
    ) -> OperationStatus[Any]: ...

    @property
    @abstractmethod
    def _paths(self) -> Sequence[str]:
        """Where the requests for it go."""

    def _sent(self, op: str) -> int:
        posts = [each.path for each in self.region.requests if each.method == "POST" and each.op == op]
        return len([path for path in posts if path.endswith(tuple(self._paths))])

    async def _note(self, progress: Progress) -> None:
        self.reported.append(progress)


class OfEngine(Kind):
    """What an engine runs by itself."""

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
    async def _ask(
        self, process: Process, handle: Handle, progress: ProgressReporter, wait: float | None
    ) -> OperationStatus[Any]:
        return await process.engine.resume(self.operation(), handle, progress, CancellationToken(), wait=wait)


class OnMachines(Kind):
    """What MAAS does to machines: a deployment."""

    op = "deploy"
    undo = "abort"
    machines: ClassVar[Sequence[str]]

    @property
    def ids(self) -> list[str]:
        """The machines' system ids. Theirs are known also once they are deleted."""
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
        """Whose the machines are."""
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
    """An operation of the region: the import of images."""

    operation = Fetch
    op = "import"
    undo = "stop_import"

    @property
    @override
    def args(self) -> Nothing:
        return Nothing()

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
        self.region.images.begin()

    @override
    def stop_outside(self) -> None:
        self.region.play()
        self.region.images.stop()

    @override
    def run_next(self) -> None:
        self.start_outside()

    @override
    def do_nothing(self) -> None:
        """Let something be missing, too: else there is nothing to be done, and that is a success."""
        super().do_nothing()
        noble = next(each for each in self.region.images.resources if each.id == NOBLE)
        noble.versions[OLD_VERSION]["squashfs"].complete = False

    @property
    @override
    def _paths(self) -> Sequence[str]:
        return ["boot-resources/"]


class AskedOfMany(BaseModel):
    """Which machines."""

    system_ids: list[str]


class GotOfMany(BaseModel):
    """How many machines are deployed."""

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
    async def _ask(
        self, process: Process, handle: Handle, progress: ProgressReporter, wait: float | None
    ) -> OperationStatus[Any]:
        return await process.batches.resume(DeployAll(), handle, progress, CancellationToken(), wait=wait)


KINDS: Final[dict[str, type[Kind]]] = {"machine": OnMachine, "region": OfRegion, "batch": OnBatch}


def of_each_kind(**marks: pytest.MarkDecorator) -> pytest.MarkDecorator:
    """Tell a story of each kind; ``marks`` says of a kind, by its name, that the story cannot be told of it."""
    unknown = marks.keys() - KINDS.keys()
    if unknown:
        raise ValueError(f"expected some of {', '.join(KINDS)}, but got {', '.join(unknown)}")
    params = [pytest.param(each, id=name, marks=marks.get(name, ())) for name, each in KINDS.items()]
    return pytest.mark.parametrize("kind", params, indirect=True)


def cannot_be(reason: str) -> pytest.MarkDecorator:
    """A story that does not exist for a kind, and why."""
    return pytest.mark.skip(reason=reason)


def fault(reason: str) -> pytest.MarkDecorator:
    """A story that the engine gets wrong for a kind, and how."""
    return pytest.mark.xfail(strict=True, reason=reason, raises=(AssertionError, MaasMcpError))


def words(error: MaasMcpError) -> str:
    """All that a user reads of an error: a batch puts what is wrong with each machine into what MAAS says."""
    return "\n".join(filter(None, [error.message, error.maas_says, error.hint]))


def refused_unless_a_batch(kind: Kind) -> AbstractContextManager[object]:
    """The abort of what is over: refused, but of a batch, whose machines may have come to different ends."""
    return nullcontext() if isinstance(kind, OnBatch) else pytest.raises(OperationRefusedError)
