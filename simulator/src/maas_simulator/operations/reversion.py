"""Starting operations that need power, and reverting them as MAAS does when the power cannot be switched."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.power import BMC_FAILURE, Command
from maas_simulator.model.refusals import Refusal, conflict
from maas_simulator.model.statuses import FAILURE_OF, RELEASABLE, Status
from maas_simulator.operations import runner
from maas_simulator.operations.stage_actions import abort_scripts
from maas_simulator.state import RegionState, Run, Stage

FAILURE_DELAY: Final = 1.0
"""Simulated seconds until a machine fails that MAAS cannot revert."""

REVERTIBLE: Final[Mapping[Status, frozenset[Status]]] = MappingProxyType(
    {
        Status.RELEASING: RELEASABLE - {Status.DEPLOYING},
        Status.DISK_ERASING: frozenset({Status.BROKEN, Status.FAILED_DISK_ERASING}),
        Status.ENTERING_RESCUE_MODE: frozenset({Status.READY, Status.BROKEN, Status.DEPLOYED}),
        Status.EXITING_RESCUE_MODE: frozenset(
            {Status.RESCUE_MODE, Status.FAILED_ENTERING_RESCUE_MODE, Status.FAILED_EXITING_RESCUE_MODE}
        ),
    }
)
"""The statuses to which MAAS 3.7 can revert, by current status. *Commissioning* and *Testing* revert to any status."""


def start_or_revert(
    region: RegionState,
    machine: SimulatedMachine,
    stages: Sequence[Stage],
    before: Status,
    commands: Sequence[Command],
    *,
    warns: str = "",
) -> None:
    """Start stages that need these power commands. If one fails, revert the operation and reject the request.

    The machine returns to the status ``before``, but keeps the owner from the request. The response gives the reason.
    With ``warns``, the name of the user, a WARNING event gives it as well.

    MAAS 3.7.3, seen for *Deployed*, *Ready* and *Rescue mode*. If MAAS cannot revert to ``before``, the request is a
    409, and the machine fails a moment later. This was seen for *Disk erasing* and is assumed for the other statuses.

    Raises:
        Refusal: The request cannot be carried out.
    """
    power = machine.power_state, machine.bmc_state
    failure = region.power_failure(machine, *commands)
    if failure is None:
        failure = _planned_failure(runner.start(region, machine, stages))
    if failure is None:
        return
    region.end_run(machine)
    machine.power_state, machine.bmc_state = power
    doing = machine.status
    if warns:
        abort_scripts(region, machine)
        text = f"Aborting {doing.display.upper()} and reverting to {before.display.upper()}."
        reason = "Unable to power control the node. Please check power credentials."
        region.say(machine, "WARNING", "Failed to query node's BMC", f"({warns}) - {text} {reason}")
    if before not in REVERTIBLE.get(doing, frozenset(Status)):
        region.schedule.after(FAILURE_DELAY, partial(_fail, region, machine, doing))
        raise conflict(f"Invalid transition: {doing.display} -> {before.display}.")
    region.set_status(machine, before)
    raise failure


def _fail(region: RegionState, machine: SimulatedMachine, doing: Status) -> None:
    if machine.status is doing and region.run_of(machine) is None:
        region.set_status(machine, FAILURE_OF[doing])


def _planned_failure(run: Run) -> Refusal | None:
    """The response for a planned BMC failure. It fails the stage before power-on, and the request with it."""
    plan, stage = run.plan, run.stage
    if plan is None or plan.hangs or stage is None or stage.powers_off or plan.stage != stage.name:
        return None
    return Refusal(500, plan.reason or BMC_FAILURE)
