"""The state of a region: machines, users, events, scripts and the clock, and the progress of running operations."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile

from maas_simulator.model.auth import Authenticator, User
from maas_simulator.model.built_in_scripts import NEW_SCRIPT, add_built_in_scripts, add_revision
from maas_simulator.model.config import CONFIG
from maas_simulator.model.costs import COMMANDS, Costs, Workers
from maas_simulator.model.events import CLOUD_INIT_EVENT_TYPES, DEFAULT_CLOUD_INIT_EVENT_TYPE, Event, EventLog
from maas_simulator.model.faults import Faults, Hold, Requests
from maas_simulator.model.images import Images
from maas_simulator.model.interfaces import mac_addresses, release_addresses
from maas_simulator.model.machines import MANUAL, Machines, Plan, Rack, SimulatedMachine
from maas_simulator.model.networks import RACK, add_default_networks
from maas_simulator.model.oddities import Oddities
from maas_simulator.model.organisation import add_default_organisation
from maas_simulator.model.power import Command
from maas_simulator.model.records import Record, Tables
from maas_simulator.model.refusals import Refusal, rack_down
from maas_simulator.model.region_objects import add_region_objects
from maas_simulator.model.schedule import Schedule
from maas_simulator.model.scripts import INSTALL_LOG, ScriptResult, ScriptSet, SetType
from maas_simulator.model.statuses import ScriptStatus, Status
from maas_simulator.model.storage import track_use
from maas_simulator.model.variants import Variant


class RegionState:
    """The state of a region, with changes that operations share; :class:`.SimulatedRegion` documents the arguments."""

    def __init__(
        self,
        users: Iterable[User],
        *,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        epoch: float | None = None,
        debug_delay: float = 60.0,
    ) -> None:
        self.users = _by_name(users)
        self.authenticator = Authenticator(self.users)
        self.schedule = Schedule(clock, speed, epoch)
        self.debug_delay = debug_delay
        self.machines = Machines()
        self.runs: dict[str, Run] = {}
        """The running operations, by system id."""
        self.tables = Tables()
        """The objects other than machines and users, by kind."""
        add_default_organisation(self.tables)
        add_default_networks(self.tables)
        add_built_in_scripts(self.tables, self.now())
        add_region_objects(self.tables, self.now())
        self.settings = dict(CONFIG)
        """MAAS's settings that have a value here, by name."""
        self.images = Images(self.schedule)
        self.log = EventLog()
        self.racks = {RACK: Rack(RACK, "rack01")}
        self.variant = Variant()
        self.oddities = Oddities()
        self.costs = Costs()
        self.workers = Workers()
        self.bmc_seconds = 0.0
        """How many real seconds the BMCs have taken for the current request."""
        self.faults = Faults()
        self.holds: dict[str, Hold] = {}
        self.requests = Requests()
        self.lock = threading.RLock()
        """Held while the region acts, because a server may run in one thread and a test in another."""
        self.up_again = -math.inf
        """The end of the latest restart, in seconds of the real clock."""
        self._set_ids = count(1)
        self._next_result = 1

    @property
    def is_restarting(self) -> bool:
        """Whether the region is restarting and refuses connections."""
        return self.schedule.clock() < self.up_again

    @property
    def api_key(self) -> str:
        """The API key of the first superuser: ``consumer:token:secret``."""
        return next(user.api_key for user in self.users.values() if user.is_superuser)

    def api_key_of(self, username: str) -> str:
        """Return the API key of a user; ``KeyError`` if there is no such user."""
        return self.users[username].api_key

    @property
    def release_scripts(self) -> dict[str, float]:
        """Custom release scripts with their lengths in simulated seconds. MAAS itself only has the erase."""
        return {script["name"]: script["seconds"] for script in self._custom_release_scripts()}

    @release_scripts.setter
    def release_scripts(self, seconds: Mapping[str, float]) -> None:
        for script in self._custom_release_scripts():
            del self.tables["Script"][script["id"]]
        for name, length in seconds.items():
            given = {**NEW_SCRIPT, "name": name, "type": int(SetType.RELEASE), "seconds": length}
            add_revision(self.tables, self.tables["Script"].add(**given), f"#!/bin/sh\n# {name}\n", None, self.now())

    def _custom_release_scripts(self) -> list[Record]:
        return self.tables["Script"].where(type=int(SetType.RELEASE), default=False)

    def machine(self, name: str) -> SimulatedMachine:
        """Return the machine with this hostname or system id, in its current state; ``KeyError`` if there is none."""
        self.play()
        return self.machines.named(name)

    def play(self) -> None:
        """Run all steps that are due."""
        with self.lock:
            self.schedule.play()

    def say(
        self,
        machine: SimulatedMachine,
        level: str,
        event_type: str,
        description: str = "",
        username: str = "unknown",
        *,
        created: float | None = None,
    ) -> None:
        """Add an event, by default with the current time. An event of INFO or above sets the ``status_message``."""
        created = self.now() if created is None else created
        whose = machine.system_id, machine.hostname
        event = Event(self.log.next_id, *whose, username, level, created, event_type, description)
        self.log.append(event)
        if level not in ("DEBUG", "AUDIT"):
            machine.status_message = event.message

    def said_by(self, machine: SimulatedMachine, username: str, event_type: str, comment: str = "") -> None:
        """Add the DEBUG event that names the user of a request."""
        self.say(machine, "DEBUG", event_type, f"({username})" + (f" - {comment}" if comment else ""), username)

    def set_status(self, machine: SimulatedMachine, status: Status) -> None:
        """Change a machine's status and add its DEBUG event. For *Allocated* the event names the owner."""
        before, machine.status = machine.status, status
        track_use(machine)
        if status is before:
            return
        whom = f" (to {machine.owner})" if status is Status.ALLOCATED else ""
        self.say(machine, "DEBUG", "Node changed status", f"From '{before.display}' to '{status.display}'{whom}")

    def now(self) -> float:
        """Return the simulated time in epoch seconds."""
        return self.schedule.now

    def run_of(self, machine: SimulatedMachine) -> "Run | None":
        """Return the machine's running operation, or None."""
        return self.runs.get(machine.system_id)

    def end_run(self, machine: SimulatedMachine) -> None:
        """End the machine's operation."""
        self.runs.pop(machine.system_id, None)

    def new_set(self, machine: SimulatedMachine, kind: SetType, results: Sequence[ScriptResult]) -> ScriptSet:
        """Add a script set and make it the current one of its kind, unless it is empty (recorded in MAAS 3.7.3).

        Older sets end. A setting says how many are kept.
        """
        scripts = ScriptSet(next(self._set_ids), machine.system_id, kind, results)
        machine.sets.append(scripts)
        if results:
            machine.current[kind] = scripts.id
        same = [each for each in machine.sets if each.type is kind]
        kept = int(str(self.settings[f"max_node_{kind.name.lower()}_results"]))
        for old in same[:-1]:
            old.abort()
        for old in same[:-kept]:
            if old.id not in machine.current.values():
                machine.sets.remove(old)
        return scripts

    def new_result(
        self, machine: SimulatedMachine, script: Record | None = None, disk: str | None = None
    ) -> ScriptResult:
        """Create a pending result of a script, by default of an installation.

        The estimate is the script's usual length on this machine, or its last one.
        """
        name = INSTALL_LOG if script is None else script["name"]
        estimate = self._last_runtime(machine, name) if script is None else script["seconds"] * machine.pace
        return ScriptResult(self.number_results(1), name, self.now(), disk=disk, estimate=estimate, script=script)

    def number_results(self, count: int) -> int:
        """Reserve ids for ``count`` new results and return the first of them."""
        first, self._next_result = self._next_result, self._next_result + count
        return first

    def power_failure(self, machine: SimulatedMachine, *commands: Command) -> Refusal | None:
        """Send commands to a BMC, and return why MAAS cannot: its rack controller or the BMC is down."""
        if not self.racks[machine.rack].connected:
            return rack_down(machine.rack)
        delay = machine.bmc_down.seconds if machine.bmc_down is not None else 0.0
        self.bmc_seconds += sum(COMMANDS[each] for each in commands) * (self.costs.bmc + delay)
        failure = machine.bmc_failure(*commands)
        return Refusal(500, failure.answer(machine.power_type, machine.system_id)) if failure is not None else None

    def current_set(self, machine: SimulatedMachine, kind: SetType) -> ScriptSet | None:
        """Return the script set of the machine's latest run of this kind."""
        current = machine.current.get(kind)
        return next((scripts for scripts in reversed(machine.sets) if scripts.id == current), None)

    def owner_of_mac(self, address: str) -> str | None:
        """Return the hostname of the machine or device that has this MAC address."""
        for machine in self.machines.values():
            if address in mac_addresses(self.tables, machine):
                return machine.hostname
        devices = self.tables["Device"].values()
        return next((each["hostname"] for each in devices if address in each["mac_addresses"]), None)

    def leave_in(self, machine: SimulatedMachine, status: Status, *, keeps_address: bool = False) -> None:
        """Change a machine's status at the end of an operation. A machine that nobody uses loses its owner."""
        self.set_status(machine, status)
        if status in (Status.READY, Status.NEW):
            self.give_back(machine, keeps_address=keeps_address)

    def give_back(self, machine: SimulatedMachine, *, keeps_address: bool = False) -> None:
        """Remove the owner, switch the machine off and forget its installation."""
        machine.owner = None
        if not keeps_address:
            release_addresses(self.tables, machine)
        machine.agent_name = ""
        machine.annotations.clear()
        machine.locked = False
        if machine.power_type != MANUAL:
            machine.switch("off")
        machine.clear_installation()

    def remove(self, machine: SimulatedMachine) -> None:
        """Delete a machine and end its operation."""
        self.end_run(machine)
        self.tables.interfaces.pop(machine.system_id, None)
        del self.machines[machine.system_id]

    def _last_runtime(self, machine: SimulatedMachine, name: str) -> float | None:
        results = (result for scripts in reversed(machine.sets) for result in scripts.results if result.name == name)
        passed = (result for result in results if result.status is ScriptStatus.PASSED)
        lengths = (each.ended - each.started for each in passed if each.ended is not None and each.started is not None)
        return next(lengths, None)


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

    def __init__(self, region: RegionState, machine: SimulatedMachine, stages: Sequence[Stage]) -> None:
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


def _by_name(users: Iterable[User]) -> dict[str, User]:
    named: dict[str, User] = {}
    for user in users:
        if user.username in named:
            raise ValueError(f"there are two users {user.username!r}; usernames must be unique")
        named[user.username] = user
    if not any(user.is_superuser for user in named.values()):
        raise ValueError(f"at least one user must be a superuser; the users are: {', '.join(named) or 'none'}")
    return named
