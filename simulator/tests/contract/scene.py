"""What happens in the region between two recorded requests: time passes, somebody else acts, something breaks."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from maas_simulator import SimulatedMachine, SimulatedRegion, Status, User, Variant
from maas_simulator.http.machine_routes import POST_OPERATIONS
from maas_simulator.model.refusals import Refusal
from maas_simulator.operations import instant_operations, timed_operations
from simulator.tests.contract.ids import Ids
from simulator.tests.contract.world import recorded_machines

LONGEST: Final = 7200.0
"""Seconds that anything here may take."""

TICK: Final = 1.0

FIRST: Final = Variant(local_boot_events=True, rescue_boot="commissioning")
"""The ways of the region that was recorded first."""


class StuckError(Exception):
    """What has to come does not come."""


class Scene:
    """A region with the recorded machines, whose time passes only when a step says so."""

    def __init__(self) -> None:
        self.region = SimulatedRegion([User("admin", is_superuser=True), User("bob")], speed=0.0)
        self.region.variant = FIRST
        self.ids = Ids()
        for machine in recorded_machines():
            self.region.machines[machine.system_id] = machine

    def play(self, steps: "Sequence[Step]") -> None:
        """Let these things happen, one after the other."""
        for step in steps:
            step(self)

    def until(self, name: str, condition: Callable[[SimulatedMachine], bool]) -> None:
        """Let time pass until a machine is so."""
        spent = 0.0
        while not condition(self.region.machine(name)):
            machine = self.region.machine(name)
            if spent >= LONGEST:
                raise StuckError(f"{name} is still {machine.status_name}, {machine.status_message}")
            self.region.advance(TICK)
            spent += TICK

    def acts(self, op: str, name: str, user: str, form: dict[str, str]) -> None:
        """Somebody posts an operation that was not recorded; it may be refused, as it may have been then."""
        act = instant_operations.power_off if op == "power_off" else POST_OPERATIONS[op].act
        with self.region.lock, contextlib.suppress(Refusal):
            act(self.region, self.region.machine(name), user, {key: [value] for key, value in form.items()})
            self.region.play()


Step = Callable[[Scene], None]


def until(name: str, status: Status) -> Step:
    """Time passes until a machine has this status."""
    return lambda scene: scene.until(name, lambda machine: machine.status is status)


def until_says(name: str, message: str) -> Step:
    """Time passes until a machine's ``status_message`` is this."""
    return lambda scene: scene.until(name, lambda machine: machine.status_message == message)


def passes(seconds: float) -> Step:
    """Time passes."""
    return lambda scene: scene.region.advance(seconds)


def acts(op: str, name: str, user: str = "admin", **form: str) -> Step:
    """Somebody posts an operation."""
    return lambda scene: scene.acts(op, name, user, form)


def acquires(name: str, user: str = "admin") -> Step:
    """Somebody allocates a machine."""
    return lambda scene: timed_operations.acquire(scene.region, scene.region.machine(name), user)


def asks_for_power(name: str) -> Step:
    """Somebody asks for a machine's power state, perhaps in vain."""

    def step(scene: Scene) -> None:
        with contextlib.suppress(Refusal):
            instant_operations.query_power_state(scene.region, scene.region.machine(name))

    return step


def fails_next(name: str, stage: str) -> Step:
    """The next operation that has this stage will fail there."""
    return lambda scene: scene.region.plan(name, fail=stage)


def hangs_next(name: str, stage: str) -> Step:
    """The next operation that has this stage will hang there."""
    return lambda scene: scene.region.plan(name, hang=stage)


def changes(name: str, **fields: str) -> Step:
    """Somebody changes what a machine is called, described as, or where it is."""

    def step(scene: Scene) -> None:
        for field, value in fields.items():
            setattr(scene.region.machine(name), field, value)

    return step


def makes(system_id: str, hostname: str, mac_address: str) -> Step:
    """Somebody makes a machine by hand, and does not say how it is switched on."""

    def step(scene: Scene) -> None:
        machine = SimulatedMachine(system_id, hostname, 99, known=False, macs=(mac_address,))
        machine.power_type, machine.power_state, machine.status_action = "", "unknown", None
        scene.region.machines[system_id] = machine

    return step


def calls_event(cursor: int, name: str, event_type: str) -> Step:
    """What the recording gives this id is here the latest event of a machine with this type."""

    def step(scene: Scene) -> None:
        system_id = scene.region.machine(name).system_id
        ids = [each.id for each in scene.region.log.events if (each.system_id, each.type) == (system_id, event_type)]
        scene.ids.ours[str(cursor)] = str(ids[-1])

    return step


def bmc(name: str, *, fails: bool) -> Step:
    """A machine's BMC stops to answer, or answers again."""
    return lambda scene: scene.region.bmc_down(name, down=fails)


def rack(*, down: bool) -> Step:
    """The only rack controller goes, or comes back."""
    return lambda scene: scene.region.rack_down(down=down)
