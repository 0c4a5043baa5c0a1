"""The history of a machine when a world starts: script sets with results, and the last event."""

from functools import cache
from typing import Any, Final

from maas_simulator.model.built_in_scripts import BUILT_IN, DEFAULT_TEST, names_of
from maas_simulator.model.forms import KERNELS
from maas_simulator.model.hardware import Disk
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.scripts import INSTALL_LOG, FinishedResults, ScriptResult, SetType
from maas_simulator.model.statuses import ScriptStatus, Status
from maas_simulator.operations.stage_actions import CURTIN_FAILURE
from maas_simulator.state import RegionState

AGO: Final = 3600.0
"""How many simulated seconds ago the past runs started."""
INSTALLING: Final = 360.0
"""How many simulated seconds an installation took."""

Scripts = tuple[tuple[str, str | None], ...]
"""Scripts by name, each with its disk, or None."""

COMMISSIONED: Final[Scripts] = tuple((name, None) for name in names_of(SetType.COMMISSIONING))
INSTALLED: Final[Scripts] = ((INSTALL_LOG, None),)


class PassedResults(FinishedResults):
    """Results of passed scripts, created on access, because ten thousand machines have many."""

    __slots__ = ("_first", "_machine", "_started", "scripts")
    ended_as = ScriptStatus.PASSED

    def __init__(self, machine: SimulatedMachine, scripts: Scripts, first: int, started: float) -> None:
        self._machine = machine
        self.scripts = scripts
        self._first = first
        self._started = started

    def __len__(self) -> int:
        return len(self.scripts)

    def __getitem__(self, index: int | slice) -> Any:
        numbers = range(len(self.scripts))[index]
        if isinstance(numbers, int):
            return self._build_result(numbers)
        return [self._build_result(number) for number in numbers]

    def _build_result(self, number: int) -> ScriptResult:
        name, disk = self.scripts[number]
        estimate = BUILT_IN[name]["seconds"] * self._machine.pace if name in BUILT_IN else None
        return ScriptResult(
            self._first + number,
            name,
            created=self._started,
            disk=disk,
            status=ScriptStatus.PASSED,
            started=self._started,
            ended=self._started + (estimate or INSTALLING),
            exit_status=0,
            estimate=estimate,
            output=f"{name} passed\n",
        )


def add_history(region: RegionState, machine: SimulatedMachine) -> None:
    """Add the script sets and the event that explain a machine's status."""
    if not machine.known:
        return
    _add_results(region, machine, SetType.COMMISSIONING, COMMISSIONED)
    _add_results(region, machine, SetType.TESTING, _list_tests(machine.disks))
    region.say(machine, "INFO", "Ready")
    if machine.status is Status.BROKEN:
        region.say(machine, "INFO", "Released")
    elif machine.status in (Status.DEPLOYED, Status.FAILED_DEPLOYMENT):
        _install(region, machine)


@cache
def _list_tests(disks: tuple[Disk, ...]) -> Scripts:
    return tuple((DEFAULT_TEST, disk.name) for disk in disks)


def _add_results(region: RegionState, machine: SimulatedMachine, kind: SetType, scripts: Scripts) -> None:
    first = region.number_results(len(scripts))
    region.new_set(machine, kind, PassedResults(machine, scripts, first, region.now() - AGO))


def _install(region: RegionState, machine: SimulatedMachine) -> None:
    machine.osystem, machine.distro_series = "ubuntu", "noble"
    machine.hwe_kernel = KERNELS["ubuntu/noble"][0]
    machine.power_state, machine.addressed = "on", True
    if machine.status is Status.DEPLOYED:
        machine.netboot = False
        _add_results(region, machine, SetType.INSTALLATION, INSTALLED)
        region.say(machine, "INFO", "Deployed")
        return
    result = PassedResults(machine, INSTALLED, region.number_results(1), region.now() - AGO)[0]
    result.status, result.exit_status = ScriptStatus.FAILED, 1
    result.output = "E: Unable to locate package linux-generic\ncurtin: Installation failed with exception\n"
    region.new_set(machine, SetType.INSTALLATION, [result])
    machine.status_action, machine.error_description = "mark_failed", CURTIN_FAILURE
    region.say(machine, "ERROR", "Marking node failed", CURTIN_FAILURE)
