"""Long-running tools: each commissions a machine of the region, which therefore sets the pace."""

import os
from zlib import crc32

from pydantic import BaseModel

from maas_mcp.api import CancelPolicy, Lifecycle, Operation, OperationContext, Question, SystemId, ToolContext
from maas_mcp.api import MachineStatus as S
from maas_mcp_conformance.asking import Name

MACHINES = "MAAS_MCP_CONFORMANCE_MACHINES"
"""The variable with the system ids of the machines that these tools may commission."""
COMMISSIONING = Lifecycle(
    start_from={S.NEW, S.READY, S.FAILED_COMMISSIONING},
    pending={S.COMMISSIONING, S.TESTING},
    success={S.READY},
    failure={S.FAILED_COMMISSIONING},
)


def machine_for(job: str) -> SystemId:
    """The machine of a job, so that different jobs run side by side."""
    machines = os.environ[MACHINES].split()
    return machines[crc32(job.encode()) % len(machines)]


class NoArguments(BaseModel):
    """No arguments."""


class Done(BaseModel):
    """The end of a job."""

    text: str


class Job(Operation[NoArguments, Done]):
    """Commission a machine."""

    lifecycle = COMMISSIONING
    on_cancel = CancelPolicy.ABORT

    def system_id(self, args: NoArguments) -> SystemId:
        """The job's own machine."""
        return machine_for(self.name)

    async def start(self, ctx: OperationContext, args: NoArguments) -> None:
        """Commission it."""
        await ctx.maas.post_op(f"machines/{ctx.system_id}/", "commission", testing_scripts="none")

    async def abort(self, ctx: OperationContext) -> None:
        """Abort the commissioning."""
        await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")

    async def result(self, ctx: OperationContext) -> Done:
        """Its description, which :class:`ToolWithTask` writes."""
        return Done(text=f"Done. {ctx.machine.description}")

    def summary(self, result: Done) -> str:
        """The text."""
        return result.text


class SlowArguments(NoArguments):
    """A duration, which the region does not heed, and a label."""

    seconds: float
    label: str = ""


class SlowCompute(Job):
    """Compute something slowly."""

    name = "slow_compute"
    arguments = SlowArguments

    def system_id(self, args: NoArguments) -> SystemId:
        """The machine for this label."""
        return machine_for(args.label if isinstance(args, SlowArguments) else "")


class FailingJob(Job):
    """Fail."""

    name = "failing_job"
    only_as_task = True
    lifecycle = Lifecycle(
        start_from=COMMISSIONING.start_from,
        pending=COMMISSIONING.pending,
        success={S.DEPLOYED},
        failure={S.READY, S.FAILED_COMMISSIONING},  # the good end, so that it always fails
    )


class ProtocolErrorJob(Job):
    """Fail inside the plugin."""

    name = "protocol_error_job"

    async def result(self, ctx: OperationContext) -> Done:
        """Fail."""
        raise RuntimeError("this job intentionally fails inside its plugin")


class DeleteArguments(NoArguments):
    """A file's name."""

    filename: str


class Confirmation(BaseModel):
    """A confirmation."""

    confirm: bool


class ConfirmDelete(Job):
    """Delete something, after a confirmation."""

    name = "confirm_delete"
    arguments = DeleteArguments
    asks_in_task = True

    def system_id(self, args: NoArguments) -> SystemId:
        """The machine for this file."""
        return machine_for(args.filename if isinstance(args, DeleteArguments) else "")

    async def complete(self, ctx: ToolContext, args: NoArguments) -> NoArguments:
        """Ask."""
        await ctx.ask("Delete it?", Confirmation, key="confirm")
        return args


class MultiInput(Job):
    """Ask two questions at once."""

    name = "multi_input"
    asks_in_task = True

    async def complete(self, ctx: ToolContext, args: NoArguments) -> NoArguments:
        """Ask."""
        await ctx.ask_each({"first": Question("First name?", Name), "second": Question("Second name?", Name)})
        return args


class NamedArguments(NoArguments):
    """The user's name."""

    user_name: str | None = None


class ToolWithTask(Job):
    """Greet the user after a while."""

    name = "test_tool_with_task"
    arguments = NamedArguments
    only_as_task = True

    async def complete(self, ctx: ToolContext, args: NoArguments) -> NoArguments:
        """Ask for the name."""
        answer = await ctx.ask("What is your name?", Name, key="user_name")
        return args.model_copy(update={"user_name": answer.name})

    async def start(self, ctx: OperationContext, args: NoArguments) -> None:
        """Write the name to the machine, where the result finds it."""
        name = args.user_name if isinstance(args, NamedArguments) else ""
        await ctx.maas.put(f"machines/{ctx.system_id}/", description=f"Hello, {name}!")
        await super().start(ctx, args)
