"""The simulated region as tests use it: its state, failures, faults, and actions of other users."""

import math
from dataclasses import replace

from maas_simulator.model.faults import Hold
from maas_simulator.model.machines import Plan, SimulatedMachine
from maas_simulator.model.networks import RACK
from maas_simulator.model.oddities import OddEvents, Oddities, OddMachine
from maas_simulator.model.power import BmcFailure, BmcMode, PowerErrors, PowerState
from maas_simulator.model.statuses import Status
from maas_simulator.operations import instant_operations, timed_operations
from maas_simulator.operations.plans import Planned, check_stage, planned
from maas_simulator.operations.rules import RULES
from maas_simulator.state import RegionState


class SimulatedRegion(RegionState):
    """A simulated MAAS region in one process. It starts no tasks or threads and needs no hardware.

    Args:
        users: The users of the region, with unique names. ``api_key`` is the key of the first superuser.
        speed: Simulated seconds per second of ``clock``. At 0, time passes only by ``advance``.
        clock: Returns real seconds from any start. A test may pass a clock that it moves by hand.
        epoch: The simulated date at the start, in epoch seconds; by default the current time.
        debug_delay: The interval in simulated seconds at which MAAS writes queued cloud-init events. With 0, these
            events are written at once.

    Raises:
        ValueError: Two users have the same name, or there is no superuser.
    """

    def plan(self, name: str, *, fail: str | None = None, hang: str | None = None, reason: str | None = None) -> None:
        """Make the next operation of a machine that has this stage fail or hang there.

        A machine that hangs stops reporting to MAAS. MAAS times out after one hour for a deployment, and after half an
        hour for commissioning, testing and rescue mode. It never times out while disks are erased.

        A stage has the name of the event that starts it (``Installing OS``). A script has its own name. The stage
        before the machine is powered on has the name of the operation's status: with ``fail="Deploying"`` the request
        succeeds and the BMC fails afterwards; with ``fail="Commissioning"`` the request itself fails. ``reason``
        replaces MAAS's own message in events, ``error_description`` and logs.

        Raises:
            KeyError: There is no such machine.
            ValueError: Both ``fail`` and ``hang`` are given or neither, or no operation has this stage.
        """
        stage = fail or hang
        if stage is None or (fail and hang):
            raise ValueError(
                "plan() takes either fail= or hang=, with the name of a stage or script; pass exactly one of them"
            )
        check_stage(stage, self.release_scripts)
        with self.lock:
            self.machine(name).plans.append(Plan(stage, hangs=hang is not None, reason=reason if fail else None))

    def bmc_down(
        self,
        name: str,
        *,
        down: bool = True,
        mode: BmcMode = "down",
        errors: PowerErrors = "driver",
        reason: str | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Make a machine's BMC fail, or work again. Meanwhile operations that need it fail.

        Args:
            name: The machine: a hostname or system id.
            down: Whether the BMC fails.
            mode: How it fails. ``down``: it does not answer. ``no on``, ``no off``, ``no query``: it fails to switch
                the machine on or off, or to report its state. As MAAS ends switching with a query, ``no query`` fails
                all requests, but the machine switches. ``stays off``, ``stays on``: it accepts all commands, and the
                machine does not change. ``unroutable``: no rack controller can reach the BMC.
                ``slow``: it works, but each command takes ``seconds``.
            errors: Whose error MAAS reports; regions of MAAS 3.7.3 differ. Some report the error of the BMC's
                ``driver``, others that of the ``agent``: a 500 ``ExitError: exit status 1``, and ``Activity task
                failed`` for a deployment.
            reason: The error that MAAS reports instead.
            seconds: Real seconds that each command takes, also one that fails. A query is one command, and switching is
                three. A deployment does not wait for its BMC.

        Raises:
            KeyError: There is no such machine.
        """
        with self.lock:
            self.machine(name).bmc_down = BmcFailure(errors, reason, mode, seconds) if down else None

    def rack_down(self, system_id: str = RACK, *, down: bool = True) -> None:
        """Disconnect a rack controller, or reconnect it; ``KeyError`` if it does not exist.

        MAAS 3.7.3 answers a request that needs power with a 503 and ``Retry-After: 10``, and reverts the operation. It
        answers a deployment with a 500, and starts nothing.
        """
        with self.lock:
            if system_id not in self.racks:
                raise KeyError(
                    f"there is no rack controller {system_id!r}; the rack controllers are: {', '.join(self.racks)}"
                )
            self.racks[system_id].connected = not down

    def add_plan(self, planned: Planned) -> None:
        """Plan the failure of a world file or a control request."""
        given, machine = planned, planned.machine or ""
        if given.rack_down is not None:
            self.rack_down(given.rack_down)
        elif given.bmc_down:
            self.bmc_down(machine, mode=given.mode, errors=given.errors, reason=given.reason, seconds=given.seconds)
        else:
            self.plan(machine, fail=given.fail, hang=given.hang, reason=given.reason)

    def plans(self) -> list[Planned]:
        """Return the planned failures that have not happened yet."""
        with self.lock:
            return list(planned(self.machines.values(), self.racks))

    def clear_plans(self) -> None:
        """Remove all plans. Operations that have failed or hang stay as they are."""
        with self.lock:
            for machine in self.machines.values():
                machine.plans.clear()
                machine.bmc_down = None
            for rack in self.racks.values():
                rack.connected = True

    def hide_events(self, name: str | None = None, *, level: str | None = None, event_type: str | None = None) -> None:
        """Hide events from all responses, by machine, exact level and type. A filter that is left out matches all.

        The machine's ``status_message`` does not change. ``show_as_is`` shows the hidden events again.

        Raises:
            KeyError: There is no such machine.
            ValueError: MAAS has no such level.
        """
        self.distort(OddEvents(machine=name, level=level, type=event_type))

    def distort(self, odd: OddEvents | OddMachine) -> None:
        """Show a machine or events with other values, until ``show_as_is``. The last call wins.

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
        """Show the real values of all machines and events again."""
        with self.lock:
            self.oddities = Oddities()

    def set_power(self, name: str, *, stored: PowerState | None = None, real: PowerState | None = None) -> None:
        """Make MAAS's stored power state differ from the state that the BMC reports.

        The difference ends when MAAS queries the BMC or switches the machine. If the machine is really off, its
        operation stops and MAAS does not notice.

        Raises:
            KeyError: There is no such machine.
        """
        with self.lock:
            machine = self.machine(name)
            was, now = machine.real_power, real or machine.real_power
            machine.power_state, machine.bmc_state = stored or machine.power_state, now
            if (was, now) == ("on", "off"):
                instant_operations.stop_unpowered_operation(self, machine)

    def set_speed(self, speed: float) -> None:
        """Set the speed of simulated time: 1 is real time; at 0 time passes only by ``advance``."""
        with self.lock:
            self.schedule.speed = speed

    def advance(self, seconds: float) -> None:
        """Let simulated seconds pass at once, at any speed."""
        with self.lock:
            self.schedule.advance(seconds)

    def restart(self, seconds: float) -> None:
        """Simulate a restart of MAAS: for some real seconds connections are closed and refused. No state is lost.

        In process, a request raises ``ConnectionResetError``.
        """
        if not 0 < seconds < math.inf:
            raise ValueError(f"the length of a restart must be more than 0 seconds; it was {seconds}")
        self.up_again = self.schedule.clock() + seconds

    def hold(self, *, op: str, before: float = 0.0, after: float = 0.0) -> None:
        """Hold the requests of an operation for real seconds ``before`` and ``after`` they are carried out.

        Args:
            op: The operation, such as ``deploy``; ``events`` and ``machines`` stand for the read requests.
            before: Real seconds before the request is carried out.
            after: Real seconds until the response is sent. Two zeros end the hold.

        Raises:
            ValueError: MAAS has no such operation, or the seconds are negative or not finite.
        """
        self.holds[op] = Hold(op=op, before=before, after=after)
        if not (before or after):
            del self.holds[op]

    def deploy(self, name: str, username: str, /, **form: str) -> None:
        """Another user deploys a machine; ``form`` has the parameters of ``op=deploy``.

        Like the methods below, this ignores permissions and locks. MAAS would only let the owner or a superuser act,
        and nobody on a locked machine. The machine's status is checked as in MAAS.

        Raises:
            KeyError: There is no such machine or user.
        """
        self._from_outside("deploy", name, username, **form)

    def abort(self, name: str, username: str, comment: str = "") -> None:
        """Another user aborts the machine's operation, whatever their permissions."""
        self._from_outside("abort", name, username, comment=comment)

    def release(self, name: str, username: str, /, **form: str) -> None:
        """Another user releases a machine, whatever their permissions; ``form`` is for ``op=release``."""
        self._from_outside("release", name, username, **form)

    def add_tag(self, name: str, comment: str = "") -> None:
        """Add a tag to the region."""
        with self.lock:
            self.tables["Tag"].add(name=name, comment=comment, definition="", kernel_opts="")

    def change_owner(self, name: str, username: str) -> None:
        """Another user takes a machine over, whatever their permissions: it is released and acquired at once."""
        with self.lock:
            machine = self.machine(name)
            self._check_known(username)
            if machine.owner is not None:
                machine.switch("off")
                RULES["release"].carry_out(self, machine, username, {})
                self.play()
            self._check_ready(machine)
            timed_operations.acquire(self, machine, username)

    def take_over(self, name: str, username: str, /, *, released_by: str = "", because: str = "", **form: str) -> None:
        """A machine is released and deployed by another user at once, whatever their permissions.

        A polling client sees all events in one response: the release, the last events of the old deployment, and the
        new deployment.

        Args:
            name: The machine: a hostname or system id.
            username: The user who deploys it.
            released_by: The user who releases it; by default ``username``.
            because: The comment on the release.
            form: The parameters of ``op=deploy``.

        Raises:
            KeyError: There is no such machine or user.
            ValueError: The machine is not *Ready* after the release.
        """
        with self.lock:
            machine, releaser = self.machine(name), released_by or username
            self._check_known(username)
            self._check_known(releaser)
            if machine.owner is not None:
                RULES["release"].carry_out(self, machine, releaser, {"comment": [because]})
                instant_operations.switch_off(self, machine)
                self.play()
            self._check_ready(machine)
            self.deploy(name, username, **form)

    def delete(self, name: str) -> None:
        """Another user deletes a machine, locked or not. Requests for it return 404 from now on."""
        with self.lock:
            self.remove(self.machine(name))

    def _check_known(self, username: str) -> None:
        if username not in self.users:
            raise KeyError(f"there is no user {username!r}; the users are: {', '.join(self.users)}")

    def _check_ready(self, machine: SimulatedMachine) -> None:
        if machine.status is not Status.READY:
            raise ValueError(
                f"a machine that is {machine.status_name} cannot be taken over; it must be Ready after the release"
            )

    def _from_outside(self, op: str, name: str, username: str, /, **form: str) -> None:
        with self.lock:
            self._check_known(username)
            given = {key: [value] for key, value in form.items() if value}
            RULES[op].carry_out(self, self.machine(name), username, given)
            self.play()
