"""Runs: the stages of an operation, as data, and a machine's progress through them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from maas_simulator.model.events import CLOUD_INIT_EVENT_TYPES, DEFAULT_CLOUD_INIT_EVENT_TYPE
from maas_simulator.model.machines import Plan, SimulatedMachine
from maas_simulator.model.records import Tables
from maas_simulator.model.scripts import ScriptSet, SetType
from maas_simulator.model.statuses import Status
from maas_simulator.model.variants import Variant


class RegionOfRun(Protocol):
    """The part of a region's state that runs use."""

    variant: Variant
    tables: Tables

    def say(
        self,
        machine: SimulatedMachine,
        level: str,
        event_type: str,
        description: str = "",
        username: str = "unknown",
    ) -> None:
        """Add an event."""

    def queue_cloud_init_event(self, machine: SimulatedMachine, words: str) -> None:
        """Queue a cloud-init event, which MAAS adds later."""

    def set_status(self, machine: SimulatedMachine, status: Status) -> None:
        """Change the machine's status and add its event."""

    def now(self) -> float:
        """Return the simulated time in epoch seconds."""
        ...

    def current_set(self, machine: SimulatedMachine, kind: SetType) -> ScriptSet | None:
        """Return the script set of the machine's latest run of this kind."""
        ...

    def store_hardware(self, machine: SimulatedMachine) -> None:
        """Store the network and the disks that the machine reports."""

    def image_deployed(self, machine: SimulatedMachine) -> None:
        """Record that the machine's image was deployed now."""

    def leave_in(self, machine: SimulatedMachine, status: Status, *, keeps_address: bool = False) -> None:
        """Change the machine's status at the end of an operation."""

    def give_back(self, machine: SimulatedMachine) -> None:
        """Remove the owner, switch the machine off and forget its installation."""

    def remove(self, machine: SimulatedMachine) -> None:
        """Delete the machine."""


Action = Callable[["Run"], None]


@dataclass(frozen=True)
class Stage:
    """One stage of a run, with its length in simulated ``seconds`` and the actions at its start and end.

    If a plan fails the stage, ``on_failure`` runs instead of ``on_end``, and the run ends if the stage is ``fatal``.
    Plans can also name the stage by its ``alias``. A machine that is being aborted or released still starts the stage
    if it is due within the seconds of ``may_run_late``. A ``powers_off`` stage ends as soon as the machine is off.
    """

    name: str
    seconds: float
    on_start: tuple[Action, ...] = ()
    on_end: tuple[Action, ...] = ()
    on_failure: Callable[["Run", str | None], None] | None = None
    fatal: bool = True
    alias: str = ""
    may_run_late: float = 0.0
    powers_off: bool = False


class Run:
    """One machine's progress through the stages of one operation."""

    def __init__(self, region: RegionOfRun, machine: SimulatedMachine, stages: Sequence[Stage]) -> None:
        self.region = region
        self.machine = machine
        self.stages = tuple(stages)
        self.index = -1
        self.over = False
        self.began = self.entered = region.now()
        """The start of the run and of its current stage, in epoch seconds."""
        self.last_report: float | None = None
        """When the machine last reported a script's status."""
        self.silent = False
        """Whether the machine has stopped reporting. The run then waits for MAAS's time limit."""
        self.is_detached = False
        """Whether MAAS no longer assigns the machine's events to the operation."""
        self.timed = True
        """Whether MAAS's time limit applies."""
        self.plan: Plan | None = self._take_plan()

    @property
    def stage(self) -> Stage | None:
        """The current stage."""
        return self.stages[self.index] if 0 <= self.index < len(self.stages) else None

    def advance(self) -> float | None:
        """Start the next stage; returns its length in simulated seconds, or None if it does not end by itself."""
        if self.stage is not None:
            self._leave(self.stage)
        if not self.over:
            self.index += 1
            self.over = self.index >= len(self.stages)
        stage = self.stage
        if not self.over and stage is not None:
            self.entered = self.region.now()
            for act in stage.on_start:
                act(self)
        if self.over or stage is None:
            return None
        self.silent = self._is_planned(stage, hangs=True) or self._cannot_power_off(stage)
        return None if self.silent else stage.seconds * self.machine.pace

    def run_late_stages(self, stages: int = 1) -> None:
        """End the current stage, and run the next ones that a machine still reaches before it is switched off.

        MAAS 3.7.3: from the second stage on, the events have the type of events outside any operation.
        """
        if self.silent or (current := self.stage) is None:
            return
        if current.may_run_late and not self._is_planned(current, hangs=False):
            for act in current.on_end:
                act(self)
        due_in = self.entered + current.seconds * self.machine.pace - self.region.now()
        following = self.stages[self.index + 1 : self.index + 1 + stages]
        for stage in takewhile(lambda each: each.may_run_late > due_in, following):
            for act in stage.on_start:
                act(self)
            self.is_detached = True

    def end_with(self, *stages: Stage) -> None:
        """Replace the remaining stages by these."""
        self.stages = (*self.stages[: self.index + 1], *stages)

    def say(self, level: str, event_type: str, description: str = "") -> None:
        """Add a system event for this machine."""
        if self.is_detached and event_type in CLOUD_INIT_EVENT_TYPES.values():
            event_type = DEFAULT_CLOUD_INIT_EVENT_TYPE
        self.region.say(self.machine, level, event_type, description)

    def _take_plan(self) -> Plan | None:
        """The plan for this run. A BMC that is down takes precedence, and applies to every run."""
        first, machine = self.stages[0], self.machine
        failure = None if first.powers_off else machine.bmc_failure(*machine.restart)
        if failure is not None:
            return Plan(first.name, reason=failure.deployment(machine.power_type, machine.system_id))
        return self.machine.plan_for(frozenset(name for s in self.stages for name in (s.name, s.alias) if name))

    def _leave(self, stage: Stage) -> None:
        if self._is_planned(stage, hangs=False) and stage.on_failure is not None and self.plan is not None:
            stage.on_failure(self, self.plan.reason)
            self.over = stage.fatal
            return
        for act in stage.on_end:
            act(self)

    def _cannot_power_off(self, stage: Stage) -> bool:
        return stage.powers_off and self.machine.bmc_failure("off") is not None and self.machine.is_on

    def _is_planned(self, stage: Stage, *, hangs: bool) -> bool:
        plan = self.plan
        return plan is not None and plan.hangs is hangs and plan.stage in (stage.name, stage.alias)
