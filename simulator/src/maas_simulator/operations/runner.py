"""Runs operations over time: starts them, moves them from stage to stage, and fails those of silent machines."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from maas_simulator.model.config import NODE_TIMEOUT
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.statuses import Status
from maas_simulator.operations.deployment_stages import fail_by_timeout
from maas_simulator.operations.release_stages import POWER_OFF_FAILURE, fail_exiting_rescue
from maas_simulator.operations.stage_actions import FailureHandler, fail_with
from maas_simulator.state import RegionState, Run, Stage

DEPLOY_LIMIT: Final = 2 * NODE_TIMEOUT * 60
"""Seconds that a deployment may take in total."""
REPORT_LIMIT: Final = NODE_TIMEOUT * 60
"""Seconds until the first report, and between two reports."""
POWER_OFF_LIMIT: Final = 5 * 60
"""Seconds that a machine has to power off when it is released or leaves rescue mode."""

# MAAS's own words:
NO_REPORT: Final = f"Node has not been heard from for the last {NODE_TIMEOUT} minutes"  # codespell:ignore heard
TOO_LONG: Final = f"Node operation '{{}}' timed out after {NODE_TIMEOUT} minutes."


def start(region: RegionState, machine: SimulatedMachine, stages: Sequence[Stage]) -> Run:
    """Start a run with these stages. It replaces the machine's current run."""
    run = Run(region, machine, stages)
    region.runs[machine.system_id] = run
    _step(region, run)
    return run


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
