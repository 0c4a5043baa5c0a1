"""Switch a machine on and off, and ask its BMC.

MAAS 3.7 hands ``power_on`` to the BMC whatever state the machine is in, and IPMI turns it into a power cycle of a
machine that is on. The ``power_state`` that MAAS shows is a record, which may be minutes old. So its BMC is asked
before a machine is switched on. That takes up to a minute, mostly a second.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

from pydantic import BaseModel, Field

from maas_deploy.abort import ABORTABLE, Abort
from maas_deploy.deploy import Deploy
from maas_deploy.machines import WHICH, MachineState, Which
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
"""Seconds until a machine has to show its new power state. A soft power-off waits for the operating system."""
ON: Final = "on"
OFF: Final = "off"


class PowerOffMachine(Which):
    """What MAAS's ``power_off`` takes."""

    stop_mode: Literal["hard", "soft"] = Field(
        default="hard", description="`soft` asks the operating system to shut down; only some power types know it."
    )


class PowerOn(Tool[Which, MachineState]):
    """Switch a machine on, and wait up to 3 minutes until MAAS shows it as on. MAAS needs the machine to have an owner.

    The BMC is asked first. If it answers `on`, nothing is sent. On any answer other than `on` or `off`, the
    call is refused, because MAAS would power-cycle a machine that is on. Also refused for Allocated machines and
    ephemeral deployments, because MAAS would deploy the machine.
    """

    name = "maas_power_on"
    title = "Switch a machine on"
    idempotent = True

    async def run(self, ctx: ToolContext, args: Which) -> MachineState:
        """Post ``op=power_on``, once the BMC has answered that the machine is off.

        Between that answer and the request somebody else may switch it on: MAAS has no request that rules this out.
        """
        asked = [await _require_not_cycled(ctx, args.system_id)]

        async def ask_again(ctx: ToolContext) -> Machine:
            asked.append(await _require_not_cycled(ctx, args.system_id))
            return asked[-1]

        now = await _switch(ctx, asked[0], ON, check=ask_again, comment=args.comment)
        return MachineState.of(now, sent=now is not asked[-1])

    def summary(self, result: MachineState) -> str:
        """Whether it was switched on, or was on already."""
        return result.line(ON)


class PowerOff(Tool[PowerOffMachine, MachineState]):
    """Switch a machine off, and wait up to 3 minutes until MAAS shows it as off. Interrupts everything that runs on it.

    If MAAS shows it as off, its BMC is asked; if the BMC confirms it, nothing is sent. Refused while the machine is
    being commissioned, tested, deployed or erased: abort that operation instead.
    """

    name = "maas_power_off"
    title = "Switch a machine off"
    destructive = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: PowerOffMachine) -> MachineState:
        """Post ``op=power_off``, unless the BMC confirms that the machine is off."""
        machine = await _require_may_be_cut(ctx, args.system_id, unless=_is_recorded_off)
        if _is_recorded_off(machine):
            if (await _ask_bmc(ctx, args.system_id)).state == OFF:
                return MachineState.of(machine, sent=False)
            before, machine = machine, await _require_may_be_cut(ctx, args.system_id)
            check_same(before, machine)
        return MachineState.of(await _switch_off(ctx, machine, args), sent=True)

    def summary(self, result: MachineState) -> str:
        """Whether it was switched off, or was off already."""
        return result.line(OFF)


class CycledMachine(MachineState):
    """A machine that was switched on again."""

    was_off: bool = Field(description="Whether it was off before, so that it was only switched on.")


class PowerCycle(Tool[PowerOffMachine, CycledMachine]):
    """Switch a machine off, wait until it is off, and switch it on again: up to 6 minutes. Interrupts what runs on it.

    A machine that is off is only switched on. Refused where maas_power_off is refused, and for machines that
    maas_power_on never switches on. If the call is cancelled in between, the machine stays off.
    """

    name = "maas_power_cycle"
    title = "Switch a machine off and on"
    destructive = True

    async def run(self, ctx: ToolContext, args: PowerOffMachine) -> CycledMachine:
        """Post ``op=power_off`` and ``op=power_on``: MAAS has no operation for both.

        Raises:
            OperationFailedError: MAAS shows the machine as off, but its BMC does not confirm it.
        """
        first = await _require_only_switches_on(ctx, args.system_id)
        was_off = (await _ask_bmc(ctx, args.system_id)).state == OFF
        machine = await _require_may_be_cut(ctx, args.system_id)
        check_same(first, machine)  # asking a BMC takes long enough for somebody to take the machine
        if not was_off:
            await _switch_off(ctx, machine, args)
            # A soft power-off may take a while, and a machine that is not off yet would be cut and not shut down.
            # A BMC that is silent must not leave a machine off that was cut: only after a soft power-off it does.
            state = (await _ask_bmc(ctx, args.system_id)).state
            if state == ON or (args.stop_mode == "soft" and state != OFF):
                raise OperationFailedError(
                    f"MAAS was asked to switch {_who(machine)} off and shows it as off, but its BMC answers `{state}`. "
                    "It was not switched on again.",
                    hint="It may still be shutting down.",
                    next_steps=_once_off(args.system_id),
                )

        async def check(ctx: ToolContext) -> Machine:
            answer = await _ask_bmc(ctx, args.system_id)
            machine = await _require_only_switches_on(ctx, args.system_id)
            if answer.state not in {ON, OFF} and (was_off or args.stop_mode == "soft"):
                raise _unknown_power(machine, answer)
            return _with_power(machine, ON if ON in (answer.state, machine.power_state) else OFF)

        machine = await _require_only_switches_on(ctx, args.system_id)
        check_same(first, machine)
        now = await _switch(ctx, _with_power(machine, OFF), ON, check=check, comment=args.comment)
        return CycledMachine(**MachineState.of(now, sent=True).model_dump(), was_off=was_off)

    def summary(self, result: CycledMachine) -> str:
        """Whether it was switched off and on, or only on."""
        how = "was off already, and was only switched on" if result.was_off else "was switched off and on again"
        return f"{result.hostname} {how}: {result.status_name}, power {result.power_state}."


class QueryMachine(BaseModel):
    """Which machine."""

    system_id: SystemId = Field(description=WHICH)


class PowerState(BaseModel):
    """What a BMC answered."""

    system_id: SystemId
    power_state: str = Field(description="`on`, `off`, `unknown` (MAAS cannot ask it) or `error`.")


class QueryPowerState(Tool[QueryMachine, PowerState]):
    """Ask a machine's BMC whether it is on, which takes up to a minute; what maas_get_machine shows may be old."""

    name = "maas_query_power_state"
    offers = "machine query-power-state"
    title = "Ask a machine's BMC for its power state"
    read_only = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: QueryMachine) -> PowerState:
        """One ``GET machines/{system_id}/?op=query_power_state``."""
        with _about_power():
            return PowerState(system_id=args.system_id, power_state=await _query(ctx.maas, args.system_id))


@dataclass(frozen=True, slots=True)
class _BmcAnswer:
    """What a BMC answered, or why it did not."""

    state: str
    """``unknown`` if MAAS could not get an answer."""
    failure: MaasError | None = None


@contextmanager
def _about_power() -> Iterator[None]:
    """Add to an error what to check: MAAS 3.7 answers 500 if the BMC fails, and 503 if no rack controller is there."""
    try:
        yield
    except MaasError as error:
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            error.hint = f"{error.hint or ''} Check that the machine's rack controller is running.".strip()
        elif error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            error.hint = f"{error.hint or ''} Check the machine's BMC, and its power settings in MAAS.".strip()
        raise


async def _query(maas: MaasClient, system_id: SystemId) -> str:
    """The power state by the BMC. Asked for once: a BMC that is silent for a minute is silent for the next, too."""
    answer = await maas.once().get_op(f"machines/{system_id}/", "query_power_state")
    return str(answer.get("state", "unknown")) if isinstance(answer, dict) else "unknown"


async def _ask_bmc(ctx: ToolContext, system_id: SystemId) -> _BmcAnswer:
    """The same, for a tool that can do something about a BMC that fails."""
    ctx.progress.report(None, "Asking the machine's BMC whether it is on")
    try:
        return _BmcAnswer(await _query(ctx.maas, system_id))
    except MaasError as error:
        if not error.may_pass:
            raise
        return _BmcAnswer("unknown", error)


async def _switch_off(ctx: ToolContext, machine: Machine, args: PowerOffMachine) -> Machine:
    """Post it whatever MAAS's record says: that is not what the caller has gone by."""

    async def check(ctx: ToolContext) -> Machine:
        return _with_power(await _require_may_be_cut(ctx, args.system_id), "unknown")

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
    with _about_power():
        return await change_machine(
            ctx,
            machine,
            f"power_{state}",
            lambda now: now.power_state == state,
            within=POWER_LIMIT,
            check=check,
            **form,
        )


async def _require_not_cycled(ctx: ToolContext, system_id: SystemId) -> Machine:
    """A machine that may be switched on, with the power state that its BMC has answered: `on` or `off`."""
    machine = await _require_only_switches_on(ctx, system_id, unless=_is_recorded_on)
    answer = await _ask_bmc(ctx, system_id)
    if answer.state == ON:
        return _with_power(machine, ON)
    before, machine = machine, await _require_only_switches_on(ctx, system_id)
    check_same(before, machine)  # asking a BMC takes long enough for somebody to take the machine
    if answer.state != OFF:
        raise _unknown_power(machine, answer)
    switched_on = machine.power_state == ON != before.power_state  # since the BMC was asked
    return _with_power(machine, ON if switched_on else OFF)


async def _require_may_be_cut(
    ctx: ToolContext, system_id: SystemId, *, unless: Callable[[Machine], bool] | None = None
) -> Machine:
    """Refuse while MAAS is at work on the machine, even if it is off: MAAS is about to switch it on."""
    machine = await require_status(ctx, system_id, to="be switched off", unless=unless)
    if machine.status in ABORTABLE:
        raise await _refusal(
            ctx,
            machine,
            f"{_who(machine)} is {machine.status_name}: without power it would hang there until MAAS gives up.",
            hint="Wait until it has ended, or abort it.",
            steps=[NextStep(Abort.name, {"system_id": system_id}, why="Abort it, which switches it off")],
        )
    return machine


async def _require_only_switches_on(
    ctx: ToolContext, system_id: SystemId, *, unless: Callable[[Machine], bool] | None = None
) -> Machine:
    """Refuse where MAAS 3.3 to 3.8 would do more than to switch on, or could not even do that."""
    machine = await require_status(ctx, system_id, to="be switched on", unless=unless)
    if unless is not None and unless(machine):
        return machine
    who, this = _who(machine), {"system_id": system_id}
    hint: str | None = None
    steps: list[NextStep] = []
    if machine.status is MachineStatus.ALLOCATED:
        problem = f"{who} is Allocated: switching it on would deploy the region's default image."
        steps = [NextStep(Deploy.name, this, why="Deploy it, if that is what is wanted")]
    elif machine.status is MachineStatus.DEPLOYED and "ephemeral_deploy" in machine.unreadable:
        problem = (
            f"{who} is Deployed, and MAAS's `ephemeral_deploy` cannot be read: if it is deployed in memory, switching "
            "it on would deploy it again."
        )
        hint = "Check in the MAAS UI how it is deployed, and switch it on there."
    elif machine.status is MachineStatus.DEPLOYED and machine.ephemeral_deploy:
        problem = f"{who} is deployed in memory: switching it on would deploy it again."
        hint = "Release it and deploy it again."
        steps = [NextStep(Release.name, this, why="Release it")]
    elif machine.owner is None:
        problem = (
            f"{who} is {machine.status_name} and nobody's: MAAS switches on only machines that are allocated to "
            "somebody."
        )
        steps = [
            NextStep(Deploy.name, this, why="Deploy it"),
            NextStep("machine rescue-mode", this, why="Or boot it into rescue mode"),
        ]
    elif machine.power_type == "manual":
        problem = f"MAAS cannot switch {who} on: its power type is manual."
        hint = "Switch it on at the machine itself."
    else:
        return machine
    raise await _refusal(ctx, machine, problem, hint, steps)


async def _refusal(
    ctx: ToolContext, machine: Machine, problem: str, hint: str | None, steps: Sequence[NextStep]
) -> OperationRefusedError:
    """The refusal. Its advice may cost what runs on the machine, so it is only for the machine's owner."""
    problem = f"{problem} Nothing was sent to MAAS."
    if owner := await another_owner(ctx.maas, machine):
        return OperationRefusedError(problem, hint=f"It belongs to {owner}: ask {owner} first.")
    return OperationRefusedError(problem, hint=hint, next_steps=steps)


def _once_off(system_id: SystemId) -> list[NextStep]:
    return [
        NextStep(QueryPowerState.name, {"system_id": system_id}, why="Ask its BMC whether it is off"),
        NextStep(PowerOn.name, {"system_id": system_id}, why="Switch it on once it is off"),
    ]


def _unknown_power(machine: Machine, answer: _BmcAnswer) -> OperationRefusedError:
    said, failure = f"its BMC answered `{answer.state}`, not `off`.", answer.failure
    if failure is not None:
        said = f"MAAS could not ask its BMC: {failure.message.rstrip('.')}."
    return OperationRefusedError(
        f"{_who(machine)} was not switched on: {said} If the machine is on, MAAS would power-cycle it. "
        "Nothing was sent to MAAS.",
        hint="Check the BMC, its rack controller and the machine's power settings in MAAS. If the BMC can never be "
        "asked, switch it on at the machine itself.",
        maas_says=failure.maas_says if failure else None,
        next_steps=_once_off(machine.system_id),
    )


def _is_recorded_on(machine: Machine) -> bool:
    return machine.power_state == ON


def _is_recorded_off(machine: Machine) -> bool:
    return machine.power_state == OFF


def _with_power(machine: Machine, state: str) -> Machine:
    return machine.model_copy(update={"power_state": state})


def _who(machine: Machine) -> str:
    return f"{machine.hostname} ({machine.system_id})"
