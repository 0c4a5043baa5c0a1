"""Steps between two recorded requests: time passes, another user acts, or something breaks."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from maas_simulator import SimulatedMachine, SimulatedRegion, Status
from maas_simulator.model.power import BmcMode
from maas_simulator.model.refusals import Refusal
from maas_simulator.operations import instant_operations, timed_operations
from maas_simulator.operations.rules import RULES
from simulator.tests.contract.ids import EVENT, Ids

TIME_LIMIT: Final = 100_000.0
"""Simulated seconds after which a step gives up."""

TICK: Final = 1.0


class StuckError(Exception):
    """A condition was not met in time."""


class Scene:
    """A region of a recording, whose time passes only in steps."""

    def __init__(self, region: SimulatedRegion) -> None:
        self.region = region
        self.ids = Ids(region.machines)

    def play(self, steps: "Sequence[Step]") -> None:
        """Run these steps in order."""
        for step in steps:
            step(self)

    def until(self, name: str, condition: Callable[[SimulatedMachine], bool]) -> None:
        """Let time pass until a machine meets a condition."""
        spent = 0.0
        while not condition(self.region.machine(name)):
            machine = self.region.machine(name)
            if spent >= TIME_LIMIT:
                raise StuckError(f"{name} is still {machine.status_name}, {machine.status_message}")
            self.region.advance(TICK)
            spent += TICK

    def acts(self, op: str, name: str, user: str, form: dict[str, str]) -> None:
        """Carry out an operation that was not recorded. It may be rejected, as it may have been in MAAS."""
        with self.region.lock, contextlib.suppress(Refusal):
            machine, given = self.region.machine(name), {key: [value] for key, value in form.items()}
            RULES[op].carry_out(self.region, machine, user, given)
            self.region.play()


Step = Callable[[Scene], None]


def until(name: str, status: Status) -> Step:
    """Let time pass until a machine has this status."""
    return lambda scene: scene.until(name, lambda machine: machine.status is status)


def until_says(name: str, message: str) -> Step:
    """Let time pass until a machine has this ``status_message``."""
    return lambda scene: scene.until(name, lambda machine: machine.status_message == message)


def wait(seconds: float) -> Step:
    """Let time pass."""
    return lambda scene: scene.region.advance(seconds)


def acts(op: str, name: str, user: str = "admin", **form: str) -> Step:
    """A user starts an operation."""
    return lambda scene: scene.acts(op, name, user, form)


def acquires(name: str, user: str = "admin") -> Step:
    """A user allocates a machine."""
    return lambda scene: timed_operations.acquire(scene.region, scene.region.machine(name), user)


def queries_power(name: str) -> Step:
    """A user queries a machine's power state; the query may fail."""

    def step(scene: Scene) -> None:
        with contextlib.suppress(Refusal):
            instant_operations.query_power_state(scene.region, scene.region.machine(name))

    return step


def fails_next(name: str, stage: str) -> Step:
    """The next operation with this stage fails there."""
    return lambda scene: scene.region.plan(name, fail=stage)


def hangs_next(name: str, stage: str) -> Step:
    """The next operation with this stage hangs there."""
    return lambda scene: scene.region.plan(name, hang=stage)


def changes(name: str, **fields: str) -> Step:
    """A user changes a machine's hostname, description, zone or pool."""

    def step(scene: Scene) -> None:
        for field, value in fields.items():
            setattr(scene.region.machine(name), field, value)

    return step


def creates(system_id: str, hostname: str, mac_address: str) -> Step:
    """A user creates a machine without a power type."""

    def step(scene: Scene) -> None:
        machine = SimulatedMachine(system_id, hostname, 99, known=False, macs=(mac_address,))
        machine.power_type, machine.power_state, machine.status_action = "", "unknown", None
        scene.region.machines[system_id] = machine

    return step


def calls_event(cursor: int, name: str, event_type: str) -> Step:
    """Map a recorded event id to the machine's latest event of this type."""

    def step(scene: Scene) -> None:
        system_id = scene.region.machine(name).system_id
        ids = [each.id for each in scene.region.log.events if (each.system_id, each.type) == (system_id, event_type)]
        scene.ids.pair(EVENT, str(cursor), str(ids[-1]))

    return step


def bmc(name: str, *, fails: bool, mode: BmcMode = "down") -> Step:
    """A machine's BMC fails, or works again."""
    return lambda scene: scene.region.bmc_down(name, down=fails, mode=mode)


def rack(*, down: bool) -> Step:
    """The only rack controller is disconnected or reconnected."""
    return lambda scene: scene.region.rack_down(down=down)
