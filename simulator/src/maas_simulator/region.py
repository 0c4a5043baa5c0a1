"""The region that tests hold: its state, and everything that they may do to it from outside."""

import math
from dataclasses import replace

from maas_simulator.model.faults import Hold
from maas_simulator.model.machines import Plan, SimulatedMachine
from maas_simulator.model.networks import RACK
from maas_simulator.model.oddities import OddEvents, OddMachine
from maas_simulator.model.ops import READS, check_op
from maas_simulator.model.power import BmcFailure, PowerErrors, PowerState
from maas_simulator.model.statuses import Status
from maas_simulator.operations import short, starting
from maas_simulator.operations.plans import Planned, check_stage, planned
from maas_simulator.state import RegionState


class SimulatedRegion(RegionState):
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

    def bmc_down(
        self, name: str, *, down: bool = True, errors: PowerErrors = "driver", reason: str | None = None
    ) -> None:
        """Make a machine's BMC stop answering, or answer again. Until then every operation that needs its power fails.

        Some regions of MAAS 3.7.3 report the words of the BMC's ``driver``, and others those of the ``agent``: a 500
        ``ExitError: exit status 1``, and for a deployment ``Activity task failed``. A ``reason`` replaces either.
        """
        with self.lock:
            self.machine(name).bmc_down = BmcFailure(errors, reason) if down else None

    def rack_down(self, system_id: str = RACK, *, down: bool = True) -> None:
        """Disconnect a rack controller, or connect it again; ``KeyError`` if there is none.

        A request that needs the power of its machines gets a 503 with ``Retry-After: 10``, and MAAS undoes what it
        began. A deployment gets a 500, and nothing begins. All of it was seen in MAAS 3.7.3.
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
                machine.bmc_down = None
            for rack in self.racks.values():
                rack.connected = True

    def hide_events(self, name: str | None = None, *, level: str | None = None, event_type: str | None = None) -> None:
        """Leave events out of every answer: of one machine or all, of exactly one level or all, of one type or all.

        The machine's ``status_message`` does not change. ``show_as_is`` shows the hidden events again.

        Raises:
            KeyError: There is no such machine.
            ValueError: The level is none of MAAS's.
        """
        self.distort(OddEvents(machine=name, level=level, type=event_type))

    def distort(self, odd: OddEvents | OddMachine) -> None:
        """Show a machine or events with other values than they have, until ``show_as_is``; the last call wins.

        Raises:
            KeyError: There is no such machine.
        """
        with self.lock:
            system_id = None if odd.machine is None else self.machine(odd.machine).system_id
            if isinstance(odd, OddEvents):
                self.oddities.events.append(replace(odd, machine=system_id))
            elif system_id is not None:
                self.oddities.machines[system_id] = {**self.oddities.machines.get(system_id, {}), **odd.show}

    def show_as_is(self) -> None:
        """Show every machine and event as it is."""
        with self.lock:
            self.oddities.clear()

    def set_power(self, name: str, *, stored: PowerState | None = None, real: PowerState | None = None) -> None:
        """Let MAAS have stored one power state, and the BMC say another, until MAAS asks it or switches the machine.

        If the machine is really off from now on, its operation stops, and MAAS does not notice.

        Raises:
            KeyError: There is no such machine.
        """
        with self.lock:
            machine = self.machine(name)
            was, now = machine.real_power, real or machine.real_power
            machine.power_state, machine.bmc_state = stored or machine.power_state, now
            if (was, now) == ("on", "off"):
                short.goes_off(self, machine)

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
        self.up_again = self.schedule.clock() + seconds

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
                machine.switch("off")
                starting.release(self, machine, username, {})
                self.play()
            self._check_ready(machine)
            starting.acquire(self, machine, username)

    def take_over(self, name: str, username: str, /, *, released_by: str = "", because: str = "", **form: str) -> None:
        """Another user deploys a machine that was released for them, whatever their permissions, and all at once.

        A client that polls sees every event of it in one answer: the release, what the machine still said of its own
        deployment before it was off, and the new deployment.

        Args:
            name: The machine: a hostname or system id.
            username: The user who deploys it.
            released_by: The user who releases it before; by default the same user.
            because: The comment on the release.
            form: The parameters of ``op=deploy``.

        Raises:
            KeyError: There is no such machine or user.
            ValueError: The machine is not *Ready* once it is released.
        """
        with self.lock:
            machine, releaser = self.machine(name), released_by or username
            self._check_known(username)
            self._check_known(releaser)
            if machine.owner is not None:
                starting.release(self, machine, releaser, {"comment": [because]})
                short.power_off(self, machine, releaser, {})
                self.play()
            self._check_ready(machine)
            self.deploy(name, username, **form)

    def delete(self, name: str) -> None:
        """Another person deletes a machine, locked or not: every answer about it is a 404 from now on."""
        with self.lock:
            self.remove(self.machine(name))

    def _check_known(self, username: str) -> None:
        if username not in self.users:
            raise KeyError(f"no user is called {username!r}; there are {', '.join(self.users)}")

    def _check_ready(self, machine: SimulatedMachine) -> None:
        if machine.status is not Status.READY:
            raise ValueError(f"a machine that is {machine.status_name} cannot be taken over")

    def _from_outside(self, operate: starting.Operate, name: str, username: str, /, **form: str) -> None:
        with self.lock:
            self._check_known(username)
            operate(self, self.machine(name), username, {key: [value] for key, value in form.items() if value})
            self.play()
