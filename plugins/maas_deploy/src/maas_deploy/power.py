"""Power a machine on and off, and query its BMC.

MAAS 3.7 forwards ``power_on`` to the BMC in every power state, and IPMI power-cycles a machine that is on. The
``power_state`` in MAAS may be minutes old. Therefore these tools query the BMC before they power a machine on. The
query usually takes a second, at most a minute.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

from pydantic import BaseModel, Field

from maas_deploy.abort import ABORTABLE, Abort
from maas_deploy.deploy import Deploy
from maas_deploy.machines import MachineArguments, MachineState
from maas_deploy.release import Release
from maas_mcp.api import (
    MaasClient,
    MaasError,
    Machine,
    MachineStatus,
    NextStep,
    OperationFailedError,
    OperationRefusedError,
    SystemId,
    Tool,
    ToolContext,
    another_owner,
    change_machine,
    check_same,
    require_status,
)

POWER_LIMIT: Final = 120.0
"""Seconds until MAAS must show the new power state. A soft power-off waits for the operating system."""
ON: Final = "on"
OFF: Final = "off"


class PowerOffMachine(MachineArguments):
    """The parameters of MAAS's ``power_off``."""

    stop_mode: Literal["hard", "soft"] = Field(
        default="hard", description="`soft` asks the OS to shut down; few power types can."
    )


class PowerOn(Tool[MachineArguments, MachineState]):
    """Power on (turn on, switch on, start) a machine or server, and wait up to 3 minutes until MAAS shows it as on.

    The machine must have an owner. Refused for Allocated machines and ephemeral deployments, because MAAS would deploy
    them, and if the BMC's answer is unclear.
    """

    name = "maas_power_on"
    toolset = "power"
    limit = "power"
    list_position = 30
    title = "Power on a machine"
    idempotent = True

    async def run(self, ctx: ToolContext, args: MachineArguments) -> MachineState:
        """Post ``op=power_on`` after the BMC has answered that the machine is off.

        Another user may power it on between the answer and the request. MAAS has no request that prevents this.
        """
        asked = [await _require_known_power(ctx, args.system_id)]

        async def ask_again(ctx: ToolContext) -> Machine:
            asked.append(await _require_known_power(ctx, args.system_id))
            return asked[-1]

        now = await _switch(ctx, asked[0], ON, check=ask_again, comment=args.comment)
        return MachineState.of(now, sent=now is not asked[-1])

    def summary(self, result: MachineState) -> str:
        """The machine's state in one line."""
        return result.line(ON)


class PowerOff(Tool[PowerOffMachine, MachineState]):
    """Power off (turn off, shut down, stop) a machine or server, and wait up to 3 minutes until MAAS shows it as off.

    Interrupts everything that runs on it. Refused during commissioning, testing, deploying and disk erasing: abort that
    instead.
    """

    name = "maas_power_off"
    toolset = "power"
    limit = "power"
    list_position = 31
    title = "Power off a machine"
    destructive = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: PowerOffMachine) -> MachineState:
        """Post ``op=power_off``, unless the BMC confirms that the machine is off."""
        machine = await _require_may_power_off(ctx, args.system_id, unless=_is_recorded_off)
        if _is_recorded_off(machine):
            if (await _query_bmc(ctx, args.system_id)).state == OFF:
                return MachineState.of(machine, sent=False)
            before, machine = machine, await _require_may_power_off(ctx, args.system_id)
            check_same(before, machine)
        return MachineState.of(await _switch_off(ctx, machine, args), sent=True)

    def summary(self, result: MachineState) -> str:
        """The machine's state in one line."""
        return result.line(OFF)


class CycledMachine(MachineState):
    """A machine after a power cycle."""

    was_off: bool = Field(description="Whether it was off before and was only powered on.")


class PowerCycle(Tool[PowerOffMachine, CycledMachine]):
    """Power-cycle (restart, reboot, reset) a machine: power it off and on again. Takes up to 6 minutes.

    Interrupts everything that runs on it. Refused where maas_power_off is refused, and for Allocated machines,
    ephemeral deployments and machines without an owner. If cancelled in between, the machine stays off.
    """

    name = "maas_power_cycle"
    toolset = "power"
    limit = "power"
    list_position = 32
    title = "Power-cycle a machine"
    destructive = True

    async def run(self, ctx: ToolContext, args: PowerOffMachine) -> CycledMachine:
        """Post ``op=power_off`` and ``op=power_on``. MAAS has no single operation for both.

        Raises:
            OperationFailedError: MAAS shows the machine as off, but its BMC does not confirm it.
        """
        first = await _require_may_power_on(ctx, args.system_id)
        was_off = (await _query_bmc(ctx, args.system_id)).state == OFF
        machine = await _require_may_power_off(ctx, args.system_id)
        check_same(first, machine)  # another user may have taken the machine during the BMC query
        if not was_off:
            await _switch_off(ctx, machine, args)
            # After a soft power-off the machine may still be shutting down, and `power_on` would cut its power.
            # After a hard power-off the machine is powered on again even if the BMC does not answer.
            state = (await _query_bmc(ctx, args.system_id)).state
            if state == ON or (args.stop_mode == "soft" and state != OFF):
                raise OperationFailedError(
                    f"MAAS shows {_label(machine)} as off after the power-off, but its BMC answers `{state}`. "
                    "It was not powered on again.",
                    hint="It may still be shutting down.",
                    next_steps=_steps_when_off(args.system_id),
                )

        async def check(ctx: ToolContext) -> Machine:
            answer = await _query_bmc(ctx, args.system_id)
            machine = await _require_may_power_on(ctx, args.system_id)
            if answer.state not in {ON, OFF} and (was_off or args.stop_mode == "soft"):
                raise _unknown_power_error(machine, answer)
            return _with_power(machine, ON if ON in (answer.state, machine.power_state) else OFF)

        machine = await _require_may_power_on(ctx, args.system_id)
        check_same(first, machine)
        now = await _switch(ctx, _with_power(machine, OFF), ON, check=check, comment=args.comment)
        return CycledMachine(**MachineState.of(now, sent=True).model_dump(), was_off=was_off)

    def summary(self, result: CycledMachine) -> str:
        """The machine's state in one line, and whether it was only powered on."""
        how = "was already off and was only powered on" if result.was_off else "was powered off and on again"
        return f"{result.hostname} {how}: {result.status_name}, power {result.power_state}."


class QueryMachine(BaseModel, defer_build=True):
    """A machine."""

    system_id: SystemId


class PowerState(BaseModel, defer_build=True):
    """The power state that a BMC reports."""

    system_id: SystemId
    power_state: str = Field(description="`on`, `off`, `unknown` (MAAS cannot query the BMC) or `error`.")


class QueryPowerState(Tool[QueryMachine, PowerState]):
    """Query a machine's BMC (IPMI, Redfish) for its actual power state. Takes up to a minute.

    The `power_state` in other results is MAAS's record, which may be old.
    """

    name = "maas_query_power_state"
    toolset = "power"
    list_position = 33
    offers = "machine query-power-state"
    title = "Query a machine's power state"
    read_only = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: QueryMachine) -> PowerState:
        """Send one ``GET machines/{system_id}/?op=query_power_state``."""
        with _power_hints():
            return PowerState(system_id=args.system_id, power_state=await _read_power_state(ctx.maas, args.system_id))


@dataclass(frozen=True, slots=True)
class _BmcAnswer:
    """A BMC's answer, or the error."""

    state: str
    """``unknown`` if the BMC did not answer."""
    failure: MaasError | None = None


@contextmanager
def _power_hints() -> Iterator[None]:
    """Add a hint to an error: MAAS 3.7 answers 500 if the BMC fails, and 503 without a rack controller."""
    try:
        yield
    except MaasError as error:
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            error.hint = f"{error.hint or ''} Check that the machine's rack controller is running.".strip()
        elif error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            error.hint = f"{error.hint or ''} Check the machine's BMC, and its power settings in MAAS.".strip()
        raise


async def _read_power_state(maas: MaasClient, system_id: SystemId) -> str:
    """Query the BMC once, without a retry: a BMC that is silent for a minute is probably silent for the next one."""
    answer = await maas.once().get_op(f"machines/{system_id}/", "query_power_state")
    return str(answer.get("state", "unknown")) if isinstance(answer, dict) else "unknown"


async def _query_bmc(ctx: ToolContext, system_id: SystemId) -> _BmcAnswer:
    """Query the BMC, and return a temporary error as ``unknown``. A permanent error is raised."""
    ctx.progress.report(None, "Querying the machine's BMC for its power state")
    try:
        return _BmcAnswer(await _read_power_state(ctx.maas, system_id))
    except MaasError as error:
        if not error.may_pass:
            raise
        return _BmcAnswer("unknown", error)


async def _switch_off(ctx: ToolContext, machine: Machine, args: PowerOffMachine) -> Machine:
    """Post ``op=power_off`` without regard to the power state in MAAS, which may be old."""

    async def check(ctx: ToolContext) -> Machine:
        return _with_power(await _require_may_power_off(ctx, args.system_id), "unknown")

    before = _with_power(machine, "unknown")
    return await _switch(ctx, before, OFF, check=check, comment=args.comment, stop_mode=args.stop_mode)


async def _switch(
    ctx: ToolContext,
    machine: Machine,
    state: Literal["on", "off"],
    *,
    check: Callable[[ToolContext], Awaitable[Machine]],
    **form: str | None,
) -> Machine:
    with _power_hints():
        return await change_machine(
            ctx,
            machine,
            f"power_{state}",
            lambda now: now.power_state == state,
            within=POWER_LIMIT,
            check=check,
            **form,
        )


async def _require_known_power(ctx: ToolContext, system_id: SystemId) -> Machine:
    """A machine that may be powered on, with its BMC's power state: `on` or `off`."""
    machine = await _require_may_power_on(ctx, system_id, unless=_is_recorded_on)
    answer = await _query_bmc(ctx, system_id)
    if answer.state == ON:
        return _with_power(machine, ON)
    before, machine = machine, await _require_may_power_on(ctx, system_id)
    check_same(before, machine)  # another user may have taken the machine during the BMC query
    if answer.state != OFF:
        raise _unknown_power_error(machine, answer)
    switched_on = machine.power_state == ON != before.power_state  # since the BMC query
    return _with_power(machine, ON if switched_on else OFF)


async def _require_may_power_off(
    ctx: ToolContext, system_id: SystemId, *, unless: Callable[[Machine], bool] | None = None
) -> Machine:
    """Refuse during an operation of MAAS, even if the machine is off: MAAS is about to power it on."""
    machine = await require_status(ctx, system_id, to="be powered off", unless=unless)
    if machine.status in ABORTABLE:
        raise await _refusal(
            ctx,
            machine,
            f"{_label(machine)} is {machine.status_name}: without power it would stay so until MAAS gives up.",
            hint="Wait until the operation has ended, or abort it.",
            steps=[NextStep(Abort.name, {"system_id": system_id}, why="Abort it, which also powers the machine off")],
        )
    return machine


async def _require_may_power_on(
    ctx: ToolContext, system_id: SystemId, *, unless: Callable[[Machine], bool] | None = None
) -> Machine:
    """Refuse if MAAS 3.3 to 3.8 cannot power the machine on, or would also deploy it."""
    machine = await require_status(ctx, system_id, to="be powered on", unless=unless)
    if unless is not None and unless(machine):
        return machine
    who, this = _label(machine), {"system_id": system_id}
    hint: str | None = None
    steps: list[NextStep] = []
    if machine.status is MachineStatus.ALLOCATED:
        problem = f"{who} is Allocated: powering it on would deploy the region's default image."
        steps = [NextStep(Deploy.name, this, why="If the user wants that, deploy it")]
    elif machine.status is MachineStatus.DEPLOYED and "ephemeral_deploy" in machine.unreadable:
        problem = (
            f"{who} is Deployed, and its `ephemeral_deploy` cannot be read. If it runs from memory, powering it on "
            "would deploy it again."
        )
        hint = "Check in the MAAS UI how it is deployed, and power it on there."
    elif machine.status is MachineStatus.DEPLOYED and machine.ephemeral_deploy:
        problem = f"{who} is deployed in memory: powering it on would deploy it again."
        hint = "Release it and deploy it again."
        steps = [NextStep(Release.name, this, why="Release it")]
    elif machine.owner is None:
        problem = (
            f"{who} is {machine.status_name} and has no owner: MAAS powers on only machines that are allocated to "
            "a user."
        )
        deploy = [NextStep(Deploy.name, this, why="Deploy it")] if machine.status is MachineStatus.READY else []
        steps = [
            *deploy,
            NextStep("machine rescue-mode", this, why=f"{'Or b' if deploy else 'B'}oot it into rescue mode"),
        ]
    elif machine.power_type == "manual":
        problem = f"MAAS cannot power on {who}: its power type is manual."
        hint = "Power it on at the machine itself."
    else:
        return machine
    raise await _refusal(ctx, machine, problem, hint, steps)


async def _refusal(
    ctx: ToolContext, machine: Machine, problem: str, hint: str | None, steps: Sequence[NextStep]
) -> OperationRefusedError:
    """The refusal. Only the owner gets the advice, because following it may interrupt the machine."""
    problem = f"{problem} Nothing was sent to MAAS."
    if owner := await another_owner(ctx.maas, machine):
        return OperationRefusedError(problem, hint=f"It belongs to {owner}: ask {owner} first.")
    return OperationRefusedError(problem, hint=hint, next_steps=steps)


def _steps_when_off(system_id: SystemId) -> list[NextStep]:
    return [
        NextStep(QueryPowerState.name, {"system_id": system_id}, why="Query its BMC for the power state"),
        NextStep(PowerOn.name, {"system_id": system_id}, why="When it is off, power it on"),
    ]


def _unknown_power_error(machine: Machine, answer: _BmcAnswer) -> OperationRefusedError:
    said, failure = f"its BMC answered `{answer.state}`, not `off`.", answer.failure
    if failure is not None:
        said = f"MAAS could not query its BMC: {failure.message.rstrip('.')}."
    return OperationRefusedError(
        f"{_label(machine)} was not powered on: {said} If the machine is on, MAAS would power-cycle it. "
        "Nothing was sent to MAAS.",
        hint="Check the BMC, its rack controller and the machine's power settings in MAAS. If the BMC cannot be "
        "queried, power it on at the machine itself.",
        maas_says=failure.maas_says if failure else None,
        next_steps=_steps_when_off(machine.system_id),
    )


def _is_recorded_on(machine: Machine) -> bool:
    return machine.power_state == ON


def _is_recorded_off(machine: Machine) -> bool:
    return machine.power_state == OFF


def _with_power(machine: Machine, state: str) -> Machine:
    return machine.model_copy(update={"power_state": state})


def _label(machine: Machine) -> str:
    return f"{machine.hostname} ({machine.system_id})"
