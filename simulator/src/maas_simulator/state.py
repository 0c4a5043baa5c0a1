"""The state of a region, which operations change and answers show: machines, users, events, scripts and the clock."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from maas_simulator.model.auth import Authenticator, User
from maas_simulator.model.config import CONFIG
from maas_simulator.model.events import HEARD, HEARD_OTHERWISE, Event, EventLog
from maas_simulator.model.faults import Faults, Hold, Requests
from maas_simulator.model.images import Images
from maas_simulator.model.machines import Machines, Rack, SimulatedMachine
from maas_simulator.model.networks import RACK, SUBNETS, Subnet
from maas_simulator.model.oddities import Oddities
from maas_simulator.model.refusals import Refusal, rack_down
from maas_simulator.model.runs import Run
from maas_simulator.model.schedule import Schedule
from maas_simulator.model.scripts import COMMISSIONING_SCRIPTS, TEST_SCRIPTS, ScriptResult, ScriptSet, SetType
from maas_simulator.model.statuses import ScriptStatus, Status
from maas_simulator.model.variants import Variant

KEPT_SETS = 10
"""How many script sets of each kind MAAS keeps of a machine, as it is shipped."""


class RegionState:
    """What a region has, what happens in it, and when; :class:`.SimulatedRegion` documents the arguments."""

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
        """What machines are doing, by their system ids."""
        self.zones = {"default": "", "az1": "Zone one", "az2": "Zone two"}
        self.pools = {"default": "Default pool", "compute": "Compute pool", "storage": "Storage pool"}
        self.tags = {"gpu": "has a GPU", "ssd": "", "kvm-capable": "VT-x", "virtual": ""}
        """Names with their descriptions or comments; a list filter accepts no others."""
        self.subnets: tuple[Subnet, ...] = SUBNETS
        self.release_scripts: dict[str, float] = {}
        """Custom release scripts, and what each takes in simulated seconds; MAAS itself only has the erase."""
        self.settings = dict(CONFIG)
        """MAAS's own, by name: those that have a value here."""
        self.images = Images(self.schedule)
        self.log = EventLog()
        self.racks = {RACK: Rack(RACK, "rack01")}
        self.variant = Variant()
        self.oddities = Oddities()
        self.faults = Faults()
        self.holds: dict[str, Hold] = {}
        self.requests = Requests()
        self.lock = threading.RLock()
        """Held while the region acts, because a server may run in one thread and a test in another."""
        self.up_again = -math.inf
        """When the latest restart is over, in seconds of the real clock."""
        self._set_ids = count(1)
        self._next_result = 1

    @property
    def is_restarting(self) -> bool:
        """Whether the region is away."""
        return self.schedule.clock() < self.up_again

    @property
    def api_key(self) -> str:
        """The API key of the first superuser: ``consumer:token:secret``."""
        return next(user.api_key for user in self.users.values() if user.is_superuser)

    def api_key_of(self, username: str) -> str:
        """The API key of a user; ``KeyError`` if there is no such user."""
        return self.users[username].api_key

    def machine(self, name: str) -> SimulatedMachine:
        """The machine with this hostname or system id, as it is now; ``KeyError`` if there is none."""
        self.play()
        return self.machines.named(name)

    def play(self) -> None:
        """Let everything happen that is due by now."""
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
        """Write an event, of now if it does not say of when; one of INFO or more becomes the ``status_message``."""
        event = Event(
            id=self.log.next_id,
            system_id=machine.system_id,
            hostname=machine.hostname,
            username=username,
            level=level,
            created=self.now() if created is None else created,
            type=event_type,
            description=description,
        )
        self.log.append(event)
        if level not in ("DEBUG", "AUDIT"):
            machine.status_message = event.message

    def hear(self, machine: SimulatedMachine, words: str) -> None:
        """Queue what cloud-init says. Its event has a late id, but says of when it is.

        Seen in MAAS 3.7.3: the type is that of the status which the machine has when the queue is cleared.
        """
        heard = self.now()

        def write() -> None:
            kind = HEARD.get(machine.status, HEARD_OTHERWISE)
            self.say(machine, "DEBUG", kind, f"'cloudinit' {words}", created=heard)

        if self.debug_delay > 0:
            self.schedule.after(self.debug_delay - self.schedule.moment % self.debug_delay, write)
        else:
            write()

    def said_by(
        self,
        machine: SimulatedMachine,
        username: str,
        event_type: str,
        comment: str = "",
    ) -> None:
        """Write the DEBUG event that tells which user asked for something."""
        self.say(machine, "DEBUG", event_type, f"({username})" + (f" - {comment}" if comment else ""), username)

    def set_status(self, machine: SimulatedMachine, status: Status) -> None:
        """Change a machine's status, with its DEBUG event; *Allocated* says to whom."""
        before, machine.status = machine.status, status
        whom = f" (to {machine.owner})" if status is Status.ALLOCATED else ""
        self.say(machine, "DEBUG", "Node changed status", f"From '{before.display}' to '{status.display}'{whom}")

    def now(self) -> float:
        """The simulated time, in epoch seconds."""
        return self.schedule.now

    def run_of(self, machine: SimulatedMachine) -> Run | None:
        """What a machine is doing, unless it is doing nothing."""
        return self.runs.get(machine.system_id)

    def end_run(self, machine: SimulatedMachine) -> None:
        """Let a machine do nothing any more."""
        self.runs.pop(machine.system_id, None)

    def new_set(self, machine: SimulatedMachine, kind: SetType, results: Sequence[ScriptResult]) -> ScriptSet:
        """Store a new script set and make it the machine's current one of its kind; the oldest are forgotten."""
        scripts = ScriptSet(next(self._set_ids), machine.system_id, kind, results)
        machine.sets.append(scripts)
        for old in [each for each in machine.sets if each.type is kind][:-KEPT_SETS]:
            machine.sets.remove(old)
        machine.current[kind] = scripts.id
        return scripts

    def new_result(self, machine: SimulatedMachine, name: str, disk: str | None = None) -> ScriptResult:
        """A pending result; its estimate is what the script takes on this machine, or what it took last time."""
        usual = COMMISSIONING_SCRIPTS.get(name) or TEST_SCRIPTS.get(name)
        estimate = usual * machine.pace if usual else self._last_runtime(machine, name)
        return ScriptResult(self.number_results(1), name, self.now(), disk=disk, estimate=estimate)

    def number_results(self, count: int) -> int:
        """Take the ids of so many new results; they follow the first, which is returned."""
        first, self._next_result = self._next_result, self._next_result + count
        return first

    def power_failure(self, machine: SimulatedMachine) -> Refusal | None:
        """Why a machine cannot be switched on or off now: no rack controller to do it, or no BMC that answers."""
        if not self.racks[machine.rack].connected:
            return rack_down(machine.rack)
        return Refusal(500, machine.power_failure.answer) if machine.power_failure is not None else None

    def check_power(self, machine: SimulatedMachine) -> None:
        """Refuse what cannot be done because the machine cannot be switched on or off."""
        failure = self.power_failure(machine)
        if failure is not None:
            raise failure

    def current_set(self, machine: SimulatedMachine, kind: SetType) -> ScriptSet | None:
        """The script set of the machine's latest run of this kind."""
        current = machine.current.get(kind)
        return next((scripts for scripts in reversed(machine.sets) if scripts.id == current), None)

    def sets_of(self, machine: SimulatedMachine) -> list[ScriptSet]:
        """All runs of a machine, newest first."""
        return machine.sets[::-1]

    def image_deployed(self, machine: SimulatedMachine) -> None:
        """Take note of when the machine's image was deployed last."""
        self.images.deployed(f"{machine.osystem}/{machine.distro_series}", machine.architecture)

    def give_back(self, machine: SimulatedMachine) -> None:
        """Nobody's, switched off, and nothing installed."""
        machine.owner = None
        machine.addressed = False
        machine.agent_name = ""
        machine.locked = False
        machine.switch("off")
        machine.clear_installation()

    def remove(self, machine: SimulatedMachine) -> None:
        """Forget a machine; what it was doing ends."""
        self.end_run(machine)
        del self.machines[machine.system_id]

    def _last_runtime(self, machine: SimulatedMachine, name: str) -> float | None:
        for scripts in self.sets_of(machine):
            for result in scripts.results:
                passed = result.name == name and result.status is ScriptStatus.PASSED
                if passed and result.started is not None and result.ended is not None:
                    return result.ended - result.started
        return None


def _by_name(users: Iterable[User]) -> dict[str, User]:
    named: dict[str, User] = {}
    for user in users:
        if user.username in named:
            raise ValueError(f"there are two users called {user.username!r}; the name of each has to be its own")
        named[user.username] = user
    if not any(user.is_superuser for user in named.values()):
        raise ValueError(f"one of the users has to be a superuser; there are: {', '.join(named) or 'none'}")
    return named
