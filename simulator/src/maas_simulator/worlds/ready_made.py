"""Ready-made regions: the demonstration with twelve machines, and generated regions of any size."""

import time
from collections.abc import Callable
from ipaddress import IPv4Network
from math import ceil

from maas_simulator.model.auth import User
from maas_simulator.model.hardware import GIGABYTE, Disk
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import BOOT_NETWORK, RACK, places
from maas_simulator.model.statuses import Status
from maas_simulator.region import SimulatedRegion
from maas_simulator.worlds.history import add_history
from maas_simulator.worlds.world import MachinesOfWorld, SubnetOfWorld, UserOfWorld, World

DEMO_USERS = (User("admin", is_superuser=True), User("bob"))
SATA = Disk("sda", 480 * GIGABYTE, ("ssd", "sata"))
NVME = Disk("nvme0n1", 960 * GIGABYTE)
BIG = Disk("sdb", 4000 * GIGABYTE, ("rotary", "sata"))


FULL = 10_000
"""How many machines a generated subnet gets."""


def demo_region(*, speed: float = 60.0, clock: Callable[[], float] = time.monotonic) -> SimulatedRegion:
    """Build a region with the machines ``node01`` to ``node12``, the superuser ``admin`` and the user ``bob``."""
    region = SimulatedRegion(DEMO_USERS, speed=speed, clock=clock)
    add_demo_machines(region)
    return region


def add_demo_machines(region: SimulatedRegion) -> None:
    """Add the twelve machines of the demonstration with their history."""
    for machine in _machines():
        region.machines[machine.system_id] = machine
        add_history(region, machine)


def generated_region(
    count: int, *, speed: float = 60.0, clock: Callable[[], float] = time.monotonic
) -> SimulatedRegion:
    """Build a region for benchmarks, with *Ready* machines ``node0001`` and so on, and the user ``admin``.

    The machines are spread over zones, resource pools and tags, and large numbers also over subnets with one rack
    controller each.
    """
    subnets = [
        SubnetOfWorld(name=f"pxe-{number + 1}", cidr=IPv4Network(f"10.{64 + number}.0.0/16"), rack=f"rack{number + 1}")
        for number in range(ceil(count / FULL) if count > places(BOOT_NETWORK) else 0)
    ]
    machines = MachinesOfWorld(
        hostname="node{:04}",
        count=count,
        zone=["default", "az1", "az2"],
        pool=["default", "compute", "storage"],
        tags=[["ssd", "kvm-capable"], ["gpu", "ssd"], ["virtual"], []],
    )
    world = World(
        users=[UserOfWorld(name="admin", superuser=True)],
        racks={subnet.rack: subnet.rack.replace("rack", "rack-controller-") for subnet in subnets} or {RACK: "rack01"},
        subnets=subnets,
        machines=[machines],
    )
    return world.region(speed=speed, clock=clock)


def _machines() -> list[SimulatedMachine]:
    # Long because it is data: an entry for each machine.
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
