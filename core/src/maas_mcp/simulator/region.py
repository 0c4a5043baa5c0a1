"""The region: machines, users, events, script sets and the schedule, and what tests may do to them from outside."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count

from maas_mcp.simulator.model.auth import Authenticator, User
from maas_mcp.simulator.model.config import CONFIG
from maas_mcp.simulator.model.events import HEARD, Event, EventLog
from maas_mcp.simulator.model.faults import Faults, Hold, Requests
from maas_mcp.simulator.model.images import Images
from maas_mcp.simulator.model.machines import Machines, Plan, Rack, SimulatedMachine
from maas_mcp.simulator.model.networks import RACK, SUBNETS, Subnet
from maas_mcp.simulator.model.ops import READS, check_op
from maas_mcp.simulator.model.refusals import Refusal, rack_down
from maas_mcp.simulator.model.schedule import Schedule
from maas_mcp.simulator.model.scripts import COMMISSIONING_SCRIPTS, TEST_SCRIPTS, ScriptResult, ScriptSet, SetType
from maas_mcp.simulator.model.statuses import ScriptStatus, Status
from maas_mcp.simulator.operations import starting
from maas_mcp.simulator.operations.lifecycles import BMC_FAILURE, NO_POWER_TYPE, Run, Stage
from maas_mcp.simulator.operations.plans import Planned, check_stage, planned
from maas_mcp.simulator.operations.time_limits import time_limit

KEPT_SETS = 10
"""How many script sets of each kind MAAS keeps of a machine, as it is shipped."""


class Region:
    """A MAAS region in one process, without hardware, tasks or threads of its own.

    Args:
        users: Who may use it, each by another name; the first superuser is whose key ``api_key`` is.
        speed: Simulated seconds for each second of ``clock``; 0 stops the time, but for ``advance``.
        clock: Real seconds, from any start; a test may give one that it moves by hand.
        epoch: The simulated date at the start, in epoch seconds; now, if left out.
        debug_delay: MAAS queues what cloud-init says, and clears the queue each time that so many simulated seconds
            have passed; with 0 it writes the events at once.

    Raises:
        ValueError: Two users have one name, or none of them is a superuser.
    """

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
        self.faults = Faults()
        self.holds: dict[str, Hold] = {}
        self.requests = Requests()
        self.lock = threading.RLock()
        """Held while the region acts, because a server may run in one thread and a test in another."""
        self._up_again = -math.inf
        self._set_ids = count(1)
        self._next_result = 1

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

    # What tests do to it

    def plan(
        self,
        name: str,
        *,
        fail: str | None = None,
        hang: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Let the next operation of a machine that has this stage fail there, or never get past it.

        A machine that hangs is not heard of any more. MAAS waits for it as long as it would: an hour from the beginning
        of a deployment, half an hour for commissioning, testing and rescue mode, and for ever while disks are erased.

        Stages are called by the event that opens them (``Installing OS``), scripts by their name, and the stage
        before the machine is on by the operation's status: ``fail="Deploying"`` is a BMC that fails after the 200,
        ``fail="Commissioning"`` one that makes the request itself fail. ``reason`` takes the place of MAAS's own
        words in events, ``error_description`` and logs.
        """
        stage = fail or hang
        if stage is None or (fail and hang):
            raise ValueError("plan() wants one of fail= and hang=, with the name of a stage or script")
        check_stage(stage, self.release_scripts)
        with self.lock:
            self.machine(name).plans.append(Plan(stage, hangs=hang is not None, reason=reason))

    def bmc_down(self, name: str, *, down: bool = True) -> None:
        """Let a machine's BMC answer no more, or again: until then whatever needs its power fails, each time."""
        with self.lock:
            self.machine(name).bmc_down = down

    def rack_down(self, system_id: str = RACK, *, down: bool = True) -> None:
        """Disconnect a rack controller, or connect it again; ``KeyError`` if there is none.

        What needs the power of its machines is a 503 with ``Retry-After: 10``. Seen in MAAS 3.7.3 for power and
        commissioning, and taken to be the same for the rest.
        """
        with self.lock:
            if system_id not in self.racks:
                raise KeyError(f"no rack controller is called {system_id!r}; there are {', '.join(self.racks)}")
            self.racks[system_id].connected = not down

    def plans(self) -> list[Planned]:
        """What is planned and has not happened yet."""
        with self.lock:
            return list(planned(self.machines.values(), self.racks))

    def clear_plans(self) -> None:
        """Let nothing go wrong any more; what has failed or hangs stays so."""
        with self.lock:
            for machine in self.machines.values():
                machine.plans.clear()
                machine.bmc_down = False
            for rack in self.racks.values():
                rack.connected = True

    def set_speed(self, speed: float) -> None:
        """Let time pass at another speed from now on: 1 is real time, 0 stops it but for ``advance``."""
        with self.lock:
            self.schedule.speed = speed

    def advance(self, seconds: float) -> None:
        """Let simulated seconds pass at once, whatever the speed."""
        with self.lock:
            self.schedule.advance(seconds)

    def restart(self, seconds: float) -> None:
        """Be away for real seconds, as a MAAS that restarts: connections are closed and refused; nothing is lost.

        In process a request meets a ``ConnectionResetError``.
        """
        if not 0 < seconds < math.inf:
            raise ValueError(f"a restart takes some seconds, more than 0; it was {seconds}")
        self._up_again = self.schedule.clock() + seconds

    @property
    def is_restarting(self) -> bool:
        """Whether it is away."""
        return self.schedule.clock() < self._up_again

    def hold(self, *, op: str, before: float = 0.0, after: float = 0.0) -> None:
        """Hold requests of this op for real seconds; ``events`` and ``machines`` are the reads; zeros end it.

        Raises:
            ValueError: MAAS has no such operation, or the seconds are negative or not finite.
        """
        self.holds[check_op(op, READS)] = Hold(before=before, after=after)

    def deploy(self, name: str, username: str, /, **form: str) -> None:
        """Another person deploys a machine; ``form`` has the parameters of ``op=deploy``.

        This and what follows is done whoever they are and whether it is locked or not: MAAS itself would let only its
        owner or a superuser, and of a locked machine nobody. What is wrong with the machine's status it does refuse.

        Raises:
            KeyError: There is no such machine or user.
        """
        self._from_outside(starting.deploy, name, username, **form)

    def abort(self, name: str, username: str, comment: str = "") -> None:
        """Another person aborts what the machine is doing, whatever they may."""
        self._from_outside(starting.abort, name, username, comment=comment)

    def release(self, name: str, username: str, /, **form: str) -> None:
        """Another person releases a machine, whatever they may; ``form`` has the parameters of ``op=release``."""
        self._from_outside(starting.release, name, username, **form)

    def change_owner(self, name: str, username: str) -> None:
        """Another person takes a machine over, whatever they may: it is released, at once, and acquired by them."""
        with self.lock:
            machine = self.machine(name)
            self._check_known(username)
            if machine.owner is not None:
                machine.power_state = "off"
                starting.release(self, machine, username, {})
                self.play()
            if machine.status is not Status.READY:
                raise ValueError(f"a machine that is {machine.status_name} cannot be taken over")
            starting.acquire(self, machine, username)

    def delete(self, name: str) -> None:
        """Another person deletes a machine, locked or not: every answer about it is a 404 from now on."""
        with self.lock:
            self.remove(self.machine(name))

    # What happens in it

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
            kind = HEARD.get(machine.status, "Node status event")
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

    def begin(self, machine: SimulatedMachine, stages: Sequence[Stage]) -> Run:
        """Start a run through these stages; it replaces the one that the machine is in."""
        run = Run(self, machine, stages)
        machine.run = run
        self._step(run)
        return run

    def silence(self, machine: SimulatedMachine) -> None:
        """Let a machine not be heard of any more; what it was doing is over once MAAS has waited long enough."""
        run = machine.run
        if run is not None and not run.silent:
            run.silent = True
            self._wait_for(run)

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
        if not machine.power_type:
            return Refusal(500, NO_POWER_TYPE)
        return Refusal(500, BMC_FAILURE) if machine.bmc_down else None

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
        machine.power_state = "off"
        machine.clear_installation()

    def remove(self, machine: SimulatedMachine) -> None:
        """Forget a machine; what it was doing ends."""
        machine.run = None
        del self.machines[machine.system_id]

    def _step(self, run: Run) -> None:
        if run.machine.run is not run or run.silent:
            return
        seconds = run.advance()
        if seconds is not None:
            self.schedule.after(seconds, partial(self._step, run))
        elif run.silent:
            self._wait_for(run)

    def _wait_for(self, run: Run) -> None:
        limit = time_limit(run)
        if limit is not None:
            self.schedule.after(max(0.0, limit[0] - self.now()), partial(self._give_up, run))

    def _give_up(self, run: Run) -> None:
        limit = time_limit(run)
        if run.machine.run is run and limit is not None:
            run.machine.run = None
            limit[1](run, None)

    def _last_runtime(self, machine: SimulatedMachine, name: str) -> float | None:
        for scripts in self.sets_of(machine):
            for result in scripts.results:
                passed = result.name == name and result.status is ScriptStatus.PASSED
                if passed and result.started is not None and result.ended is not None:
                    return result.ended - result.started
        return None

    def _check_known(self, username: str) -> None:
        if username not in self.users:
            raise KeyError(f"no user is called {username!r}; there are {', '.join(self.users)}")

    def _from_outside(self, operate: starting.Operate, name: str, username: str, /, **form: str) -> None:
        with self.lock:
            self._check_known(username)
            operate(self, self.machine(name), username, {key: [value] for key, value in form.items() if value})
            self.play()


def _by_name(users: Iterable[User]) -> dict[str, User]:
    named: dict[str, User] = {}
    for user in users:
        if user.username in named:
            raise ValueError(f"there are two users called {user.username!r}; the name of each has to be its own")
        named[user.username] = user
    if not any(user.is_superuser for user in named.values()):
        raise ValueError(f"one of the users has to be a superuser; there are: {', '.join(named) or 'none'}")
    return named
