"""The types that a plugin author's editor must infer. This file is only type-checked."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, assert_type

from pydantic import BaseModel

from maas_mcp.api import (
    CancellationToken,
    CancelPolicy,
    Event,
    EventPolling,
    Evidence,
    Image,
    Lifecycle,
    LifespanContext,
    MaasClient,
    Machine,
    MachineStatus,
    Milestone,
    Observation,
    Operation,
    OperationContext,
    Part,
    PollingStrategy,
    ProgressReporter,
    Prompt,
    PromptContext,
    Resource,
    ScriptSet,
    ScriptSetName,
    SystemId,
    Tool,
    ToolContext,
    User,
    hookimpl,
)
from maas_mcp.testing import MaasRegion, Progress, RequestRecord


class Which(BaseModel):
    system_id: SystemId


class Where(BaseModel):
    addresses: list[str]


class Locate(Tool[Which, Where]):
    """A tool. The types of its arguments, services and the client's results are inferred."""

    name = "maas_locate"

    async def run(self, ctx: ToolContext, args: Which) -> Where:
        assert_type(args.system_id, SystemId)
        assert_type(ctx.maas, MaasClient)
        assert_type(ctx.progress, ProgressReporter)
        assert_type(ctx.cancellation, CancellationToken)
        machine = await ctx.maas.machine(args.system_id)
        assert_type(machine, Machine)
        assert_type(machine.status, MachineStatus | int)
        assert_type(machine.ip_addresses, list[str])
        assert_type(await ctx.maas.machines(owner="kim"), list[Machine])
        assert_type(await ctx.maas.whoami(), User)
        assert_type(await ctx.maas.script_set(args.system_id, ScriptSetName.TESTING), ScriptSet | None)
        await ctx.maas.put(f"machines/{args.system_id}/", description="located", swap_size=0)
        await ctx.maas.post("tags/", name="located", comment=None)
        await ctx.maas.delete("tags/located/")
        ctx.progress.report(0.5, "Half way")
        ctx.progress.report(None, "Unknown")
        ctx.cancellation.raise_if_cancelled()
        await ctx.cancellation.sleep(1)
        return Where(addresses=machine.ip_addresses)

    def summary(self, result: Where) -> str:
        return ", ".join(result.addresses)


class Counted(PollingStrategy):
    """A polling strategy with the evidence so far and the new observation."""

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        assert_type(observation.events, tuple[Event, ...])
        assert_type(observation.machine, Machine | None)
        assert_type(evidence.baseline.machine, Machine)
        assert_type(evidence.milestone, Milestone)
        return Milestone((evidence.milestone.fraction or 0.0) + 0.1 * len(observation.events), "Counted")


class Move(Operation[Which, Where]):
    """An operation, whose context has the machine. A lifecycle accepts any collection."""

    name = "maas_move"
    lifecycle = Lifecycle(
        start_from=[MachineStatus.READY],
        pending={MachineStatus.DEPLOYING},
        success=(MachineStatus.DEPLOYED,),
    )
    polling = Counted()
    deadline = timedelta(minutes=5)

    async def start(self, ctx: OperationContext, args: Which) -> None:
        assert_type(args, Which)
        assert_type(ctx.machine, Machine)
        await ctx.maas.post_op(f"machines/{args.system_id}/", "move", force=True, tags=["a", "b"], comment=None)

    async def result(self, ctx: OperationContext) -> Where:
        assert_type(ctx.system_id, SystemId)
        return Where(addresses=list(ctx.machine.ip_addresses))


async def call_as_host(tool: Locate, operation: Move, ctx: OperationContext, args: Which) -> None:
    """A tool and an operation return their own result types."""
    assert_type(await tool.run(ctx, args), Where)
    assert_type(await operation.result(ctx), Where)
    assert_type(operation.system_id(args), SystemId)
    assert_type(tool.summary(Where(addresses=[])), str)


async def make_mistakes(ctx: ToolContext, tool: Locate) -> None:
    """Each ignore marks an error that the editor must show. mypy reports an ignore without an error."""
    await ctx.maas.machine(1)  # type: ignore[arg-type] # a system id is not a number
    await ctx.maas.post_op("machines/", "x", when=timedelta())  # type: ignore[arg-type] # not a form value
    await ctx.maas.put("machines/", {"pool": "gpu"})  # type: ignore[call-arg] # a form is keywords, not JSON
    await ctx.machine  # type: ignore[attr-defined] # only an operation has a machine
    await tool.run(ctx, Where(addresses=[]))  # type: ignore[arg-type] # another model
    ctx.maas = ctx.maas  # type: ignore[misc] # frozen
    EventPolling(["Deployed"])  # type: ignore[list-item] # a phase also has a fraction
    Lifecycle(start_from="Ready", pending=(), success=())  # type: ignore[arg-type] # statuses, not their names


class Wrong(Tool[Which, Where]):
    name = "maas_wrong"

    async def run(self, ctx: ToolContext, args: Which) -> Which:  # type: ignore[override] # declared Where
        ctx.progress.report(1.0, "Done")
        return args


class Blocking(Tool[Which, Where]):
    name = "maas_blocking"

    def run(self, ctx: ToolContext, args: Which) -> Where:  # type: ignore[override] # not async
        raise NotImplementedError


class Ask(Prompt[Which]):
    """A prompt's arguments have the model that the class declares."""

    name = "maas_ask"

    async def messages(self, ctx: PromptContext, args: Which) -> Sequence[Part]:
        assert_type(ctx.maas, MaasClient)
        return [Image(b"", "image/png"), args.system_id]


class Numbered(Prompt[Which]):
    name = "maas_numbered"

    async def messages(self, ctx: PromptContext, args: Which) -> Sequence[int]:  # type: ignore[override] # no messages
        return [len(args.system_id), ctx is None]


@hookimpl
def maas_mcp_prompts() -> list[type[Ask]]:
    """A narrower return type is accepted as well."""
    return [Ask]


@hookimpl
def maas_mcp_operations() -> Sequence[type[Operation[Any, Any]]]:
    """The return type in the reference documentation."""
    return [Move]


@hookimpl
def maas_mcp_tools() -> list[type[Locate]]:
    """A narrower return type is accepted as well."""
    return [Locate]


assert_type(maas_mcp_tools(), list[type[Locate]])


def check_test_types(maas_region: MaasRegion) -> None:
    """A call returns the model that the tool or operation declares."""
    assert_type(maas_region.call(Locate, "node01"), Where)
    assert_type(maas_region.call(Move, "node01", on_cancel=CancelPolicy.ABORT), Where)
    assert_type(maas_region.progress, list[Progress])
    assert_type(maas_region.requests[-1], RequestRecord)


class RackSettings(BaseModel):
    site: str


@asynccontextmanager
async def open_state(ctx: LifespanContext[RackSettings, int]) -> AsyncIterator[float]:
    """A lifespan. The types of the settings and of the process's state are inferred."""
    assert_type(ctx.settings, RackSettings)
    assert_type(ctx.process, int)
    yield ctx.process / 2


class Rack(Resource):
    """A resource. Its variables are parameters, and the types of settings and state are inferred."""

    uri = "acme://racks/{rack}"
    name = "rack"

    async def read(self, ctx: ToolContext[RackSettings, float], rack: str) -> Where:
        assert_type(ctx.settings.site, str)
        assert_type(ctx.state, float)
        return Where(addresses=[rack])


def use_the_fixture_for_resources(maas_region: MaasRegion) -> None:
    assert_type(maas_region.read(Rack, rack="a1"), str | bytes)
