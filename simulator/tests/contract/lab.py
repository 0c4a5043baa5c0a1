"""The commands that the recorded lab was given, as steps of the simulated region.

The lab's BMCs and machines were programs. Their modes that the simulator does not have do nothing here.
"""

from collections.abc import Mapping
from typing import Final

from maas_simulator import Status
from maas_simulator.model.power import PowerErrors
from simulator.tests.contract.recording import LabEvent
from simulator.tests.contract.scene import Scene

PLANS: Final[Mapping[str, Mapping[str, str]]] = {
    "fail=curtin:curthooks": {"fail": "Configuring OS"},
    "fail=rescue": {"hang": "Performing PXE boot"},
    "hold=erase": {"hang": "Erasing"},
    "hold=running:maas-lshw": {"hang": "maas-lshw"},
}
"""The commands that make a machine fail or stop reporting, and the stages where it does so."""

FAILING: Final = frozenset({"fail", "fail-on", "fail-off", "refuse"})
"""The modes of a BMC in which it fails."""

NODE04: Final = "b6f86m"
NOT_BOOTING: Final = frozenset({499, 538})
"""The deployments of node04 that the lab did not boot, because the machine had been renamed."""


class Lab:
    """The recorded lab: translates its commands, and remembers whose errors its BMCs report."""

    def __init__(self) -> None:
        self._errors: PowerErrors = "agent"

    def carry_out(self, event: LabEvent, scene: Scene) -> None:
        """Do the same to the simulated region."""
        if event.hostname is not None:
            scene.until(event.hostname, lambda machine: machine.status_name in event.statuses)
        match event.command:
            case ("bmc", name, mode):
                scene.region.bmc_down(name, down=mode in FAILING, errors=self._errors)
            case ("maas", "power_error_style=driver" | "power_error_style=agent" as style):
                self._errors = "driver" if style.endswith("driver") else "agent"
                self._change_errors(scene)
            case ("rack", state):
                scene.region.rack_down(*scene.region.racks, down=state == "down")
            case ("clear",):
                scene.region.clear_plans()
            case (command, name, *words):
                _change_machine(scene, name, command, words[0] if words else "", event.answer)

    def _change_errors(self, scene: Scene) -> None:
        for machine in scene.region.machines.values():
            if machine.bmc_down is not None:
                scene.region.bmc_down(machine.hostname, errors=self._errors)


def _change_machine(scene: Scene, name: str, command: str, word: str, answer: str) -> None:
    match command:
        case "power":
            scene.region.machine(name).switch(word)
        case "status":
            _set_status(scene, name, answer)
        case "expire":
            before = scene.region.machine(name).status
            scene.until(name, lambda machine: machine.status is not before)
        case "clear":
            scene.region.machine(name).plans.clear()
        case "set" if word in PLANS:
            scene.region.plan(name, **PLANS[word])


def _set_status(scene: Scene, name: str, answer: str) -> None:
    """The lab changed its database: ``node04 b6f86m Deployed owner=admin``."""
    shown, _, owner = answer.strip().partition(" owner=")
    machine = scene.region.machine(name)
    scene.region.end_run(machine)
    machine.status = next(status for status in Status if shown.endswith(f" {status.display}"))
    machine.owner = None if owner == "None" else owner
    if machine.status is Status.DEPLOYED and not machine.osystem:
        machine.osystem, machine.distro_series = "ubuntu", "noble"
