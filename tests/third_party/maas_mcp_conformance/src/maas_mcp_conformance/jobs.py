"""Long-running tools: each commissions a machine of the region, which therefore sets the pace."""

import os
from typing import Generic, TypeVar
from zlib import crc32

from pydantic import BaseModel

from maas_mcp.api import CancelPolicy, Lifecycle, Operation, OperationContext, Question, SystemId, ToolContext
from maas_mcp.api import MachineStatus as S
from maas_mcp_conformance.asking import Name
from maas_mcp_conformance.tools import Nothing

JobT = TypeVar("JobT", bound=BaseModel)

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


class Done(BaseModel):
    """The end of a job."""

    text: str


class Job(Operation[JobT, Done], Generic[JobT]):
    """Commission a machine."""

    lifecycle = COMMISSIONING
    on_cancel = CancelPolicy.ABORT

    def system_id(self, args: JobT) -> SystemId:
        """The machine for the label, the file or the tool."""
        labels = args.model_dump(include={"label", "filename"}).values()
        return machine_for("".join(labels) or self.name)

    async def start(self, ctx: OperationContext, args: JobT) -> None:
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


class SlowArguments(BaseModel):
    """A duration, which the region does not heed, and a label."""

    seconds: float
    label: str = ""


class SlowCompute(Job[SlowArguments]):
    """Compute something slowly."""

    name = "slow_compute"


class FailingJob(Job[Nothing]):
    """Fail."""

    name = "failing_job"
    only_as_task = True
    lifecycle = Lifecycle(
        start_from=COMMISSIONING.start_from,
        pending=COMMISSIONING.pending,
        success={S.DEPLOYED},
        failure={S.READY, S.FAILED_COMMISSIONING},  # the good end, so that it always fails
    )


class ProtocolErrorJob(Job[Nothing]):
    """Fail inside the plugin."""

    name = "protocol_error_job"

    async def result(self, ctx: OperationContext) -> Done:
        """Fail."""
        raise RuntimeError("this job intentionally fails inside its plugin")


class DeleteArguments(BaseModel):
    """A file's name."""

    filename: str


class Confirmation(BaseModel):
    """A confirmation."""

    confirm: bool


class ConfirmDelete(Job[DeleteArguments]):
    """Delete something, after a confirmation."""

    name = "confirm_delete"
    asks_in_task = True

    async def fill_in(self, ctx: ToolContext, args: DeleteArguments) -> DeleteArguments:
        """Ask."""
        await ctx.ask(f"Delete {args.filename}?", Confirmation, key="confirm")
        return args


class MultiInput(Job[Nothing]):
    """Ask two questions at once."""

    name = "multi_input"
    asks_in_task = True

    async def fill_in(self, ctx: ToolContext, args: Nothing) -> Nothing:
        """Ask."""
        await ctx.ask_each({"first": Question("First name?", Name), "second": Question("Second name?", Name)})
        return args


class NamedArguments(BaseModel):
    """The user's name."""

    user_name: str | None = None


class ToolWithTask(Job[NamedArguments]):
    """Greet the user after a while."""

    name = "test_tool_with_task"
    only_as_task = True

    async def fill_in(self, ctx: ToolContext, args: NamedArguments) -> NamedArguments:
        """Ask for the name."""
        answer = await ctx.ask("What is your name?", Name, key="user_name")
        return args.model_copy(update={"user_name": answer.name})

    async def start(self, ctx: OperationContext, args: NamedArguments) -> None:
        """Write the name to the machine, where the result finds it."""
        await ctx.maas.put(f"machines/{ctx.system_id}/", description=f"Hello, {args.user_name}!")
        await super().start(ctx, args)
