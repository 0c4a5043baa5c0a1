"""Ready-made regions: the twelve machines of the demonstration, in most of the statuses there are."""

import time
from collections.abc import Callable

from maas_mcp.simulator.auth import User
from maas_mcp.simulator.forms import KERNELS
from maas_mcp.simulator.lifecycles import CURTIN_FAILURE
from maas_mcp.simulator.machines import GIGABYTE, Disk, SimulatedMachine
from maas_mcp.simulator.region import Region
from maas_mcp.simulator.scripts import COMMISSIONING_SCRIPTS, DEFAULT_TEST, INSTALL_LOG, ScriptResult, SetType
from maas_mcp.simulator.statuses import ScriptStatus, Status

SATA = Disk("sda", 480 * GIGABYTE, ("ssd", "sata"))
NVME = Disk("nvme0n1", 960 * GIGABYTE)
BIG = Disk("sdb", 4000 * GIGABYTE, ("rotary", "sata"))


def demo_region(*, speed: float = 60.0, clock: Callable[[], float] = time.monotonic) -> Region:
    """Twelve machines, ``node01`` to ``node12``, and the users ``admin`` (a superuser) and ``bob``."""
    region = Region([User("admin", is_superuser=True), User("bob")], speed=speed, clock=clock)
    for machine in _machines():
        region.machines[machine.system_id] = machine
        _give_a_past(region, machine)
    return region


def generated_region(count: int, *, speed: float = 60.0, clock: Callable[[], float] = time.monotonic) -> Region:
    """As many *Ready* machines as wanted, ``node0001`` and so on, and the user ``admin``: for measuring.

    Beyond 54 of them addresses and object ids are no longer what a network would take; nothing here routes by them.
    """
    region = Region([User("admin", is_superuser=True)], speed=speed, clock=clock)
    for number in range(1, count + 1):
        machine = SimulatedMachine(f"m{number:05}", f"node{number:04}", number, Status.READY)
        region.machines[machine.system_id] = machine
        _give_a_past(region, machine)
    return region


def _machines() -> list[SimulatedMachine]:
    kvm = "kvm-capable"
    return [
        SimulatedMachine("7xneda", "node01", 1, Status.READY, tag_names=(kvm,)),
        SimulatedMachine(
            "fyc3ff",
            "node02",
            2,
            Status.READY,
            cpu_count=16,
            memory=32768,
            disks=(SATA,),
            tag_names=("gpu", "ssd", kvm),
            zone="az1",
            pool="compute",
        ),
        SimulatedMachine(
            "ndn36c",
            "node03",
            3,
            Status.READY,
            cpu_count=4,
            memory=24576,
            disks=(NVME, SATA),
            tag_names=("ssd", kvm),
            zone="az2",
            pool="compute",
        ),
        SimulatedMachine(
            "q4hs8t",
            "node04",
            4,
            Status.READY,
            architecture="arm64/generic",
            cpu_count=64,
            memory=131072,
            disks=(NVME,),
            tag_names=("ssd",),
            zone="az1",
            pool="compute",
        ),
        SimulatedMachine(
            "m86kwc",
            "node05",
            5,
            Status.READY,
            cpu_count=12,
            memory=65536,
            disks=(SATA, BIG),
            tag_names=(kvm,),
            zone="az2",
            pool="storage",
        ),
        SimulatedMachine("x7twrr", "node06", 6, Status.ALLOCATED, owner="admin", tag_names=(kvm,), zone="az1"),
        SimulatedMachine("ywtymp", "node07", 7, Status.DEPLOYED, owner="admin", cpu_count=16, tag_names=(kvm,)),
        SimulatedMachine("hbncqr", "node08", 8, Status.DEPLOYED, owner="admin", locked=True, tag_names=(kvm,)),
        SimulatedMachine("ergrgd", "node09", 9, Status.DEPLOYED, owner="bob", memory=8192, tag_names=("virtual",)),
        SimulatedMachine("a8wxd4", "node10", 10, Status.NEW, known=False, power_state="unknown", status_action=None),
        SimulatedMachine("8pr8mk", "node11", 11, Status.FAILED_DEPLOYMENT, owner="admin", zone="az2"),
        SimulatedMachine("gpxwc3", "node12", 12, Status.BROKEN, pool="storage", error_description="bad DIMM"),
    ]


def _give_a_past(region: Region, machine: SimulatedMachine) -> None:
    """The runs and events that brought the machine where it is."""
    if not machine.known:
        return
    region.new_set(machine, SetType.COMMISSIONING, [_passed(region, machine, name) for name in COMMISSIONING_SCRIPTS])
    tests = [_passed(region, machine, DEFAULT_TEST, disk.name) for disk in machine.disks]
    region.new_set(machine, SetType.TESTING, tests)
    region.say(machine, "INFO", "Ready")
    match machine.status:
        case Status.DEPLOYED:
            _deployed(region, machine)
        case Status.FAILED_DEPLOYMENT:
            _failed(region, machine)
        case Status.BROKEN:
            region.say(machine, "INFO", "Released")


def _install(machine: SimulatedMachine) -> None:
    machine.osystem, machine.distro_series = "ubuntu", "noble"
    machine.hwe_kernel = KERNELS["ubuntu/noble"][0]
    machine.power_state, machine.addressed = "on", True


def _deployed(region: Region, machine: SimulatedMachine) -> None:
    _install(machine)
    machine.netboot = False
    region.new_set(machine, SetType.INSTALLATION, [_passed(region, machine, INSTALL_LOG)])
    region.say(machine, "INFO", "Deployed")


def _failed(region: Region, machine: SimulatedMachine) -> None:
    _install(machine)
    result = _passed(region, machine, INSTALL_LOG)
    result.status, result.exit_status = ScriptStatus.FAILED, 1
    result.output = "E: Unable to locate package linux-generic\ncurtin: Installation failed with exception\n"
    region.new_set(machine, SetType.INSTALLATION, [result])
    machine.status_action = "mark_failed"
    machine.error_description = CURTIN_FAILURE
    region.say(machine, "ERROR", "Marking node failed", CURTIN_FAILURE)


def _passed(region: Region, machine: SimulatedMachine, name: str, disk: str | None = None) -> ScriptResult:
    """A result from an hour ago."""
    result = region.new_result(machine, name, disk)
    took = result.estimate or 360.0
    result.status, result.exit_status = ScriptStatus.PASSED, 0
    result.started = result.created = region.now() - 3600
    result.ended = result.started + took
    result.output = f"{name} passed\n"
    return result
