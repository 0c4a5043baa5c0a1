"""The commands that the recorded lab was given, as steps of the simulated region.

The lab's BMCs and machines were programs.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from maas_simulator import Status
from maas_simulator.model.power import BmcFailure, BmcMode, PowerErrors
from maas_simulator.model.statuses import FAILURE_OF
from simulator.tests.contract.recording import Exchange, LabEvent
from simulator.tests.contract.scene import (
    Scene,
    Step,
    acquires,
    acts,
    bmc,
    changes,
    fails_next,
    hangs_next,
    until,
)

PLANS: Final[Mapping[str, Mapping[str, str]]] = {
    "fail=curtin:curthooks": {"fail": "Configuring OS"},
    "fail=rescue": {"fail": "Starting"},
    "hold=erase": {"hang": "Erasing"},
    "hold=running:maas-lshw": {"hang": "maas-lshw"},
}
"""The commands that make a machine fail or stop reporting, and the stages where it does so."""

MODES: Final[Mapping[str, BmcMode]] = {
    "fail": "down",
    "refuse": "down",
    "fail-on": "no on",
    "fail-off": "no off",
    "fail-status": "no query",
    "stuck-on": "stays off",
    "stuck-off": "stays on",
}
"""The modes in which the lab's BMCs fail, with those of the simulator. The others are ``ok`` and ``slow``."""

NODE04: Final = "b6f86m"
NOT_BOOTING: Final[Mapping[int, str]] = {499: "Deploying", 538: "Power on", 778: "Disk erasing"}
"""The operations of node04 that stopped in the lab, and where. For the first two the machine had been renamed."""

NODE01, NODE02, NODE03, NODE06, NODE08, NODE09 = "rfrbdh", "dpy84d", "rwda8e", "psbbmm", "sck7nb", "tg84sf"
_TIMES_OUT: Final = (
    hangs_next(NODE03, "Loading ephemeral"),
    acts("deploy", NODE03),
    until(NODE03, Status.FAILED_DEPLOYMENT),
    acts("release", NODE03),
    until(NODE03, Status.READY),
)
ELSEWHERE: Final[Mapping[int, Sequence[Step]]] = {
    538: (hangs_next(NODE04, "Power on"), acts("deploy", NODE04), acts("power_off", NODE04), acts("release", NODE04)),
    567: _TIMES_OUT * 2,
    576: (
        bmc(NODE08, fails=True, mode="unroutable"),
        acts("power_off", NODE08),
        acts("release", NODE08),
        bmc(NODE08, fails=False),
    ),
    141: (changes(NODE06, power_state="off"),),
    645: (
        bmc(NODE08, fails=True, mode="unroutable"),
        acts("power_on", NODE08),
        *(acts("power_off", NODE08), acts("power_on", NODE08)) * 6,
        bmc(NODE08, fails=False),
    ),
    654: (bmc(NODE08, fails=True), acts("power_on", NODE08), acts("power_off", NODE08), bmc(NODE08, fails=False)),
    709: (
        changes(NODE01, power_state="unknown"),
        acts("lock", NODE09, "alice"),
        acts("unlock", NODE09, "alice"),
    ),
    907: (acts("deploy", NODE02), acts("release", NODE02)),
    995: (changes(NODE01, power_state="unknown"),),
    1161: (
        fails_next(NODE02, "smartctl-validate"),
        acts("test", NODE02),
        until(NODE02, Status.FAILED_TESTING),
        acts("override_failed_testing", NODE02),
    ),
    1789: (acquires(NODE03), acts("release", NODE03)),
    1835: (acquires(NODE03), acts("release", NODE03)),
}
"""What happened before a step and is not part of the recording, but shows in its later answers."""

IN_VAIN: Final = frozenset({780, 784, 810})
"""Waits for a status that the machine did not reach."""

UNROUTABLE: Final = "MAAS knows no rack that reaches this BMC"
"""Exchanges with this in their title met a fault of the lab's network: no rack controller reached the BMC."""


class Lab:
    """The recorded lab: translates its commands, and remembers whose errors its BMCs report."""

    def __init__(self) -> None:
        self._errors: PowerErrors = "agent"

    def carry_out(self, event: LabEvent, scene: Scene) -> None:
        """Do the same to the simulated region."""
        scene.play(ELSEWHERE.get(event.n, ()))
        if event.hostname is not None and event.n not in IN_VAIN:
            scene.until(event.hostname, lambda machine: machine.status_name in event.statuses)
        match event.command:
            case ("bmc", name, mode):
                scene.region.bmc_down(name, down=mode in MODES, errors=self._errors, mode=MODES.get(mode, "down"))
            case ("maas", "power_error_style=driver" | "power_error_style=agent" as style):
                self._errors = "driver" if style.endswith("driver") else "agent"
                self._change_errors(scene)
            case ("rack", state):
                scene.region.rack_down(*scene.region.racks, down=state == "down")
            case ("clear",):
                scene.region.clear_plans()
            case (command, name, *words):
                _change_machine(scene, name, command, words[0] if words else "", event.answer)

    @contextmanager
    def circumstances(self, exchange: Exchange, scene: Scene) -> Iterator[None]:
        """Give an exchange the faults that the lab had by accident, and what happened before it elsewhere."""
        scene.play(ELSEWHERE.get(exchange.n, ()))
        if exchange.n in NOT_BOOTING:
            scene.region.plan(NODE04, hang=NOT_BOOTING[exchange.n])
        if UNROUTABLE not in exchange.title:
            yield
            return
        machine = scene.region.machines[exchange.url.split("/")[5]]
        before, machine.bmc_down = machine.bmc_down, BmcFailure(mode="unroutable")
        yield
        machine.bmc_down = before

    def _change_errors(self, scene: Scene) -> None:
        for machine in scene.region.machines.values():
            if machine.bmc_down is not None:
                machine.bmc_down = replace(machine.bmc_down, errors=self._errors)


def _change_machine(scene: Scene, name: str, command: str, word: str, answer: str) -> None:
    match command:
        case "power":
            scene.region.machine(name).switch(word)
        case "status":
            _set_status(scene, name, answer)
        case "expire":
            scene.until(name, lambda machine: machine.status not in FAILURE_OF)
        case "clear":
            scene.region.machine(name).plans.clear()
        case "set" if word in PLANS:
            scene.region.plan(name, **PLANS[word])


def _set_status(scene: Scene, name: str, answer: str) -> None:
    """The lab changed its database: ``node04 b6f86m Deployed owner=admin``."""
    shown, _, owner = answer.strip().partition(" owner=")
    machine = scene.region.machine(name)
    scene.region.end_run(machine)
    machine.owner = None if owner == "None" else owner
    scene.region.set_status(machine, next(status for status in Status if shown.endswith(f" {status.display}")))
    if machine.status is Status.DEPLOYED and not machine.osystem:
        machine.osystem, machine.distro_series = "ubuntu", "noble"
