"""Runs operations over time: starts them, moves them from stage to stage, and times out silent machines."""

from collections.abc import Sequence
from functools import partial

from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.runs import Run, Stage
from maas_simulator.operations.time_limits import time_limit
from maas_simulator.state import RegionState


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
    limit = time_limit(run)
    if limit is not None:
        region.schedule.after(max(0.0, limit[0] - region.now()), partial(_give_up, region, run))


def _give_up(region: RegionState, run: Run) -> None:
    limit = time_limit(run)
    if region.run_of(run.machine) is run and limit is not None:
        region.end_run(run.machine)
        limit[1](run, None)
