"""How an operation goes on over time: its stages, which are data, and the run of a machine through them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from maas_simulator.model.events import HEARD, HEARD_OTHERWISE
from maas_simulator.model.machines import Plan, SimulatedMachine
from maas_simulator.model.scripts import ScriptSet, SetType
from maas_simulator.model.statuses import Status
from maas_simulator.model.variants import Variant


class RegionOfRun(Protocol):
    """The part of a region's state that its runs use."""

    variant: Variant

    def say(
        self,
        machine: SimulatedMachine,
        level: str,
        event_type: str,
        description: str = "",
        username: str = "unknown",
    ) -> None:
        """Write an event."""

    def hear(self, machine: SimulatedMachine, words: str) -> None:
        """Take what cloud-init says on the machine; the event follows once the queue is cleared."""

    def set_status(self, machine: SimulatedMachine, status: Status) -> None:
        """Change the status, with the event that says so."""

    def now(self) -> float:
        """The simulated time, in epoch seconds."""
        ...

    def current_set(self, machine: SimulatedMachine, kind: SetType) -> ScriptSet | None:
        """The script set of the machine's latest run of this kind."""
        ...

    def image_deployed(self, machine: SimulatedMachine) -> None:
        """Take note of when the machine's image was deployed last."""

    def give_back(self, machine: SimulatedMachine) -> None:
        """Give the machine back: nobody's, switched off."""

    def remove(self, machine: SimulatedMachine) -> None:
        """Forget the machine."""


Action = Callable[["Run"], None]


@dataclass(frozen=True)
class Stage:
    """A stretch of a run: ``seconds`` of simulated time between what begins it and what ends it.

    ``fails`` is what happens instead of ``ends`` if the stage was planned to fail; after it the run is over,
    unless the stage is not ``fatal``. ``alias`` is a second name to plan it by. ``also_late`` marks what a machine may
    still begin while it is being aborted or released, and ``powers_off`` what is over as soon as the machine is off.
    """

    name: str
    seconds: float
    begins: tuple[Action, ...] = ()
    ends: tuple[Action, ...] = ()
    fails: Callable[["Run", str | None], None] | None = None
    fatal: bool = True
    alias: str = ""
    also_late: bool = False
    powers_off: bool = False


class Run:
    """One machine on its way through the stages of one operation."""

    def __init__(self, region: RegionOfRun, machine: SimulatedMachine, stages: Sequence[Stage]) -> None:
        self.region = region
        self.machine = machine
        self.stages = tuple(stages)
        self.index = -1
        self.over = False
        self.began = self.entered = region.now()
        """When the run began, and its present stage, in epoch seconds."""
        self.heard: float | None = None
        """When the machine last told how a script goes."""
        self.silent = False
        """Whether the machine is not heard of any more: it goes no further, but for what MAAS makes of that."""
        self.disowned = False
        """Whether MAAS takes what the machine says for part of no operation."""
        self.timed = True
        """Whether MAAS ends it once it has lasted too long."""
        self.plan: Plan | None = self._taken_plan()

    @property
    def stage(self) -> Stage | None:
        """The stage it is in."""
        return self.stages[self.index] if 0 <= self.index < len(self.stages) else None

    def advance(self) -> float | None:
        """End the present stage and begin the next: its length in simulated seconds, or None if it does not end."""
        if self.stage is not None:
            self._leave(self.stage)
        if not self.over:
            self.index += 1
            self.over = self.index >= len(self.stages)
        stage = self.stage
        if not self.over and stage is not None:
            self.entered = self.region.now()
            for act in stage.begins:
                act(self)
        if self.over or stage is None:
            return None
        self.silent = self._planned(stage, hangs=True) or self._stays_on(stage)
        return None if self.silent else stage.seconds * self.machine.pace

    def last_words(self, stages: int = 1) -> None:
        """Do what the machine may still do until it is switched off: it enters the stages that it was about to.

        Seen in MAAS 3.7.3: from the second of them on, what the machine says is told as being of no operation.
        """
        following = self.stages[self.index + 1 : self.index + 1 + stages]
        for stage in () if self.silent else takewhile(lambda each: each.also_late, following):
            for act in stage.begins:
                act(self)
            self.disowned = True

    def end_with(self, *stages: Stage) -> None:
        """Go through these stages, and not those that would follow."""
        self.stages = (*self.stages[: self.index + 1], *stages)

    def say(self, level: str, event_type: str, description: str = "") -> None:
        """Write an event of the system's own about this machine."""
        if self.disowned and event_type in HEARD.values():
            event_type = HEARD_OTHERWISE
        self.region.say(self.machine, level, event_type, description)

    def _taken_plan(self) -> Plan | None:
        """What is to go wrong: a BMC that does not answer comes before all else, and every time."""
        first, failure = self.stages[0], self.machine.power_failure
        if failure is not None and not first.powers_off:
            return Plan(first.name, reason=failure.deployment)
        return self.machine.plan_for(frozenset(name for s in self.stages for name in (s.name, s.alias) if name))

    def _leave(self, stage: Stage) -> None:
        if self._planned(stage, hangs=False) and stage.fails is not None and self.plan is not None:
            stage.fails(self, self.plan.reason)
            self.over = stage.fatal
            return
        for act in stage.ends:
            act(self)

    def _stays_on(self, stage: Stage) -> bool:
        return stage.powers_off and self.machine.power_failure is not None and self.machine.is_on

    def _planned(self, stage: Stage, *, hangs: bool) -> bool:
        plan = self.plan
        return plan is not None and plan.hangs is hangs and plan.stage in (stage.name, stage.alias)
