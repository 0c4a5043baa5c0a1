"""Runs operations over time: starts, reverts and moves them from stage to stage, and fails those of silent machines."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from maas_simulator.model.config import NODE_TIMEOUT
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.power import BMC_FAILURE, Command
from maas_simulator.model.refusals import Refusal, conflict
from maas_simulator.model.statuses import FAILURE_OF, RELEASABLE, RESCUE_LEAVABLE, Status
from maas_simulator.operations.deployment_stages import fail_by_timeout
from maas_simulator.operations.release_stages import POWER_OFF_FAILURE, fail_exiting_rescue
from maas_simulator.operations.stage_actions import NO_REPORT, FailureHandler, abort_scripts, fail_with
from maas_simulator.state import RegionState, Run, Stage

DEPLOY_LIMIT: Final = 2 * NODE_TIMEOUT * 60
"""Seconds that a deployment may take in total."""
REPORT_LIMIT: Final = NODE_TIMEOUT * 60
"""Seconds until the first report, and between two reports."""
POWER_OFF_LIMIT: Final = 5 * 60
"""Seconds that a machine has to power off when it is released or leaves rescue mode."""

FAILURE_DELAY: Final = 1.0
"""Simulated seconds until a machine fails that MAAS cannot revert."""

REVERTIBLE: Final[Mapping[Status, frozenset[Status]]] = {
    Status.RELEASING: RELEASABLE - {Status.DEPLOYING},
    Status.DISK_ERASING: frozenset({Status.BROKEN, Status.FAILED_DISK_ERASING}),
    Status.ENTERING_RESCUE_MODE: frozenset({Status.READY, Status.BROKEN, Status.DEPLOYED}),
    Status.EXITING_RESCUE_MODE: RESCUE_LEAVABLE - FAILURE_OF.keys(),
}
"""The statuses to which MAAS 3.7 can revert, by current status. *Commissioning* and *Testing* revert to any status."""

# MAAS's own words:
TOO_LONG: Final = f"Node operation '{{}}' timed out after {NODE_TIMEOUT} minutes."


def start(region: RegionState, machine: SimulatedMachine, stages: Sequence[Stage]) -> Run:
    """Start a run with these stages. It replaces the machine's current run."""
    run = Run(region, machine, stages)
    region.runs[machine.system_id] = run
    _step(region, run)
    return run


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
        failure = _planned_failure(start(region, machine, stages))
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


def stop_reporting(region: RegionState, machine: SimulatedMachine) -> None:
    """Make a machine stop reporting. MAAS ends its operation after the time limit."""
    run = region.run_of(machine)
    if run is not None and not run.silent:
        run.silent = True
        _wait_for(region, run)


def _step(region: RegionState, run: Run) -> None:
    if region.run_of(run.machine) is not run or run.silent:
        return
    seconds = run.advance()
    if seconds is not None:
        region.schedule.after(seconds, partial(_step, region, run))
    elif run.silent:
        _wait_for(region, run)
    elif region.run_of(run.machine) is run:
        region.end_run(run.machine)


def _wait_for(region: RegionState, run: Run) -> None:
    limit = _time_limit(run)
    if limit is not None:
        region.schedule.after(max(0.0, limit[0] - region.now()), partial(_give_up, region, run))


def _give_up(region: RegionState, run: Run) -> None:
    limit = _time_limit(run)
    if region.run_of(run.machine) is run and limit is not None:
        region.end_run(run.machine)
        limit[1](run, None)


def _time_limit(run: Run) -> tuple[float, FailureHandler] | None:
    """When MAAS fails a silent machine, in epoch seconds, and how; None if there is no limit, as for an erase."""
    status = run.machine.status
    match status:
        case Status.DEPLOYING if run.timed:
            return run.began + DEPLOY_LIMIT, fail_by_timeout
        case Status.COMMISSIONING | Status.TESTING if run.last_report is not None:
            return run.last_report + REPORT_LIMIT, fail_with(NO_REPORT)
        case Status.COMMISSIONING | Status.TESTING | Status.ENTERING_RESCUE_MODE:
            return run.began + REPORT_LIMIT, fail_with(TOO_LONG.format(status.display))
        case Status.RELEASING if run.stage is not None and run.stage.powers_off:
            return run.entered + POWER_OFF_LIMIT, fail_with(POWER_OFF_FAILURE)
        case Status.EXITING_RESCUE_MODE:
            return run.began + POWER_OFF_LIMIT, fail_exiting_rescue
    return None


def _fail(region: RegionState, machine: SimulatedMachine, doing: Status) -> None:
    if machine.status is doing and region.run_of(machine) is None:
        region.set_status(machine, FAILURE_OF[doing])


def _planned_failure(run: Run) -> Refusal | None:
    """The response for a planned BMC failure. It fails the stage before power-on, and the request with it."""
    plan, stage = run.plan, run.stage
    if plan is None or plan.hangs or stage is None or stage.powers_off or plan.stage != stage.name:
        return None
    return Refusal(500, plan.reason or BMC_FAILURE)
