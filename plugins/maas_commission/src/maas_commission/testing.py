"""Test a machine's hardware, and overrule what the tests say."""

from datetime import timedelta

from pydantic import BaseModel, Field

from maas_commission.machines import ChangedMachine, MachineState, WhichAndWhy
from maas_commission.scripts import RunScripts
from maas_mcp.api import (
    Lifecycle,
    Operation,
    OperationContext,
    Phase,
    ScriptPolling,
    ScriptSetName,
    SystemId,
    Tool,
    ToolContext,
    change_machine,
    require_status,
)
from maas_mcp.api import MachineStatus as S


class ScriptOutcome(BaseModel):
    """How one test ended."""

    name: str
    target: str | None = Field(description="The disk or network interface that it ran on, if it runs once for each.")
    status_name: str
    exit_status: int | None
    runtime: str


class TestedMachine(BaseModel):
    """A machine whose tests have passed."""

    system_id: SystemId
    hostname: str
    status_name: str
    power_state: str
    tests: list[ScriptOutcome]


class RunTests(Operation[RunScripts, TestedMachine]):
    """Boot a machine into MAAS's own environment, run hardware tests, and wait until they have passed.

    Takes from 5 minutes to days, by the tests. A Deployed machine is rebooted out of its operating system for it, and
    powered off afterwards. `fio` and `badblocks-destructive` destroy the data on the disks. It ends Ready, or where it
    began if it was in use. Starts from anything that is not under way; needs an administrator.
    """

    name = "maas_test_machine"
    title = "Test a machine"
    destructive = True
    lifecycle = Lifecycle(
        start_from={
            *(S.NEW, S.FAILED_COMMISSIONING, S.READY, S.RESERVED, S.ALLOCATED, S.DEPLOYED, S.FAILED_DEPLOYMENT),
            *(S.MISSING, S.RETIRED, S.BROKEN, S.FAILED_RELEASING, S.FAILED_DISK_ERASING, S.FAILED_TESTING),
            *(S.RESCUE_MODE, S.FAILED_ENTERING_RESCUE_MODE, S.FAILED_EXITING_RESCUE_MODE),
        },
        pending={S.TESTING},
        # Which of them follows from the status before; nothing but a passed test leads from Testing to another one.
        success={S.READY, S.NEW, S.RESERVED, S.ALLOCATED, S.DEPLOYED, S.RESCUE_MODE},
        failure={S.FAILED_TESTING},
    )
    polling = ScriptPolling(
        [Phase("Testing", 0.02), Phase("Performing PXE boot", 0.1), Phase("Loading ephemeral", 0.2)],
        {ScriptSetName.TESTING},
    )
    compared = frozenset({"testing_scripts"})
    deadline = timedelta(days=7)  # several of MAAS's own tests have no limit

    async def differs(self, ctx: OperationContext, args: RunScripts) -> str | None:
        """Other tests than those that run. MAAS shows their names, and not the tags by which they were chosen."""
        scripts = await ctx.maas.script_set(args.system_id, ScriptSetName.TESTING) if args.testing_scripts else None
        running = {each.name for each in scripts.results} if scripts else set()
        if not running or not args.testing_scripts or set(args.testing_scripts) & running:
            return None
        return f"it runs {', '.join(sorted(running))}, and not {', '.join(args.testing_scripts)}"

    async def start(self, ctx: OperationContext, args: RunScripts) -> None:
        """Post ``op=test``."""
        await ctx.maas.post_op(f"machines/{args.system_id}/", "test", **args.form())

    async def abort(self, ctx: OperationContext) -> None:
        """Post ``op=abort``: the machine is switched off, in the status in which it was."""
        await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")

    async def result(self, ctx: OperationContext) -> TestedMachine:
        """Where the machine is, and how each test ended."""
        scripts = await ctx.maas.script_set(ctx.system_id, ScriptSetName.TESTING)
        return TestedMachine(
            **MachineState.of(ctx.machine).model_dump(exclude={"owner"}),
            tests=[ScriptOutcome.model_validate(each, from_attributes=True) for each in scripts.results]
            if scripts
            else [],
        )

    def summary(self, result: TestedMachine) -> str:
        """Where the machine is, and how many tests it has passed."""
        return f"{result.hostname} is {result.status_name}: {len(result.tests)} tests have passed."


class OverrideFailedTesting(Tool[WhichAndWhy, ChangedMachine]):
    """Put a machine that Failed testing back into use as it is: Ready, or Deployed if it was. Needs an administrator.

    Use it only if the failed test is known to be wrong. If the machine is already Ready or Deployed, nothing is sent.
    """

    name = "maas_override_failed_testing"
    offers = "machine override-failed-testing"
    title = "Overrule a failed test"
    idempotent = True

    async def run(self, ctx: ToolContext, args: WhichAndWhy) -> ChangedMachine:
        """Post ``op=override_failed_testing``, unless it is in use or ready for it."""
        machine = await require_status(
            ctx,
            args.system_id,
            {S.FAILED_TESTING},
            to="have its failed tests overruled",
            unless=lambda now: now.status in {S.READY, S.DEPLOYED},
        )
        now = await change_machine(
            ctx,
            machine,
            "override_failed_testing",
            lambda now: now.status != S.FAILED_TESTING,
            comment=args.comment,
        )
        return ChangedMachine.after(machine, now)

    def summary(self, result: ChangedMachine) -> str:
        """Whether it was put back, or was in use already."""
        return result.line()
