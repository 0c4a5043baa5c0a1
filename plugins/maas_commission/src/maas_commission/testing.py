"""Test a machine's hardware, and override failed tests."""

from dataclasses import replace
from datetime import timedelta

from pydantic import BaseModel, Field

from maas_commission.machines import ChangedMachine, MachineState, MachineWithComment
from maas_commission.scripts import RunScripts
from maas_mcp.api import (
    Effects,
    Lifecycle,
    MachineText,
    Operation,
    OperationContext,
    Phase,
    ScriptPolling,
    ScriptSetName,
    SystemId,
    Tool,
    ToolContext,
    change_machine,
    quoted,
    require_status,
)
from maas_mcp.api import MachineStatus as S


class ScriptOutcome(BaseModel, defer_build=True):
    """The result of one test."""

    name: MachineText
    target: MachineText | None = Field(
        description="Tested disk or network interface, for a test that runs once for each."
    )
    status_name: str
    exit_status: int | None
    runtime: str


class TestedMachine(BaseModel, defer_build=True):
    """A machine whose tests have passed."""

    system_id: SystemId
    hostname: MachineText
    status_name: str
    power_state: str
    tests: list[ScriptOutcome]


class RunTests(Operation[RunScripts, TestedMachine]):
    """Test a machine: boot it into MAAS's test environment, run hardware tests, and wait until they have passed.

    Takes 5 minutes to days. A Deployed machine is rebooted out of its system and powered off afterwards. `fio` and
    `badblocks-destructive` destroy the data on the disks. Administrators only.
    """

    name = "maas_test_machine"
    admin_only = True
    toolset = "lifecycle"
    list_position = 51
    title = "Test a machine"
    destructive = True
    lifecycle = Lifecycle(
        start_from={
            *(S.NEW, S.FAILED_COMMISSIONING, S.READY, S.RESERVED, S.ALLOCATED, S.DEPLOYED, S.FAILED_DEPLOYMENT),
            *(S.MISSING, S.RETIRED, S.BROKEN, S.FAILED_RELEASING, S.FAILED_DISK_ERASING, S.FAILED_TESTING),
            *(S.RESCUE_MODE, S.FAILED_ENTERING_RESCUE_MODE, S.FAILED_EXITING_RESCUE_MODE),
        },
        pending={S.TESTING},
        # The status before the test decides between them. Only a passed test ends in one of these statuses.
        success={S.READY, S.NEW, S.RESERVED, S.ALLOCATED, S.DEPLOYED, S.RESCUE_MODE},
        failure={S.FAILED_TESTING},
    )
    polling = ScriptPolling(
        [Phase("Testing", 0.02), Phase("Performing PXE boot", 0.1), Phase("Loading ephemeral", 0.2)],
        {ScriptSetName.TESTING},
    )
    compared = frozenset({"testing_scripts"})
    typical = timedelta(minutes=5)  # with the default tests
    deadline = timedelta(days=7)  # several of MAAS's own tests have no limit

    def effects(self, args: RunScripts) -> Effects:
        """A test may overwrite the disks."""
        return replace(super().effects(args), erases=args.may_erase)

    async def differs(self, ctx: OperationContext, args: RunScripts) -> str | None:
        """Compare the requested tests with the running ones. MAAS shows names, but not the requested tags."""
        scripts = await ctx.maas.script_set(args.system_id, ScriptSetName.TESTING) if args.testing_scripts else None
        running = {each.name for each in scripts.results} if scripts else set()
        if not running or not args.testing_scripts or set(args.testing_scripts) & running:
            return None
        return f"it runs {', '.join(map(quoted, sorted(running)))}, not {', '.join(args.testing_scripts)}"

    async def start(self, ctx: OperationContext, args: RunScripts) -> None:
        """Post ``op=test``."""
        await ctx.maas.post_op(f"machines/{args.system_id}/", "test", **args.form())

    async def abort(self, ctx: OperationContext) -> None:
        """Post ``op=abort``. MAAS powers the machine off and restores its earlier status."""
        await ctx.maas.post_op(f"machines/{ctx.system_id}/", "abort")

    async def result(self, ctx: OperationContext) -> TestedMachine:
        """The machine's status, and the result of each test."""
        scripts = await ctx.maas.script_set(ctx.system_id, ScriptSetName.TESTING)
        return TestedMachine(
            **MachineState.of(ctx.machine).model_dump(exclude={"owner"}),
            tests=[ScriptOutcome.model_validate(each, from_attributes=True) for each in scripts.results]
            if scripts
            else [],
        )

    def summary(self, result: TestedMachine) -> str:
        """The machine's status, and the number of passed tests."""
        return f"{result.hostname} is {result.status_name}: {len(result.tests)} tests have passed."


class OverrideFailedTesting(Tool[MachineWithComment, ChangedMachine]):
    """Override (ignore) failed tests: a Failed testing machine becomes Ready, or Deployed if it was.

    Use it only if the test is known to be wrong. Administrators only.
    """

    name = "maas_override_failed_testing"
    admin_only = True
    toolset = "lifecycle"
    offers = "machine override-failed-testing"
    title = "Override failed tests"
    idempotent = True

    async def run(self, ctx: ToolContext, args: MachineWithComment) -> ChangedMachine:
        """Post ``op=override_failed_testing``, unless the machine is Ready or Deployed."""
        machine = await require_status(
            ctx,
            args.system_id,
            {S.FAILED_TESTING},
            to="have its failed tests overridden",
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
        """The machine's state in one line."""
        return result.line()
