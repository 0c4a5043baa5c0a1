"""Ready-made regions: the demonstration with twelve machines, and generated regions of any size."""

import json
import time
from collections.abc import Callable
from ipaddress import IPv4Network
from math import ceil
from pathlib import Path
from typing import Final

from maas_simulator.model.auth import User
from maas_simulator.model.hardware import GIGABYTE, Disk
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import BOOT_NETWORK, RACK, places
from maas_simulator.model.statuses import Status
from maas_simulator.region import SimulatedRegion
from maas_simulator.worlds.history import add_history
from maas_simulator.worlds.world import MachinesOfWorld, SubnetOfWorld, UserOfWorld, World

DEMO_USERS = (User("admin", is_superuser=True), User("bob"))
DEMO: Final = Path(__file__).with_name("demo_machines.json")
"""The machines of the demonstration: fields of ``SimulatedMachine``, with the names of their status and disks."""
DISKS: Final = {
    "sda": Disk("sda", 480 * GIGABYTE, ("ssd", "sata")),
    "nvme0n1": Disk("nvme0n1", 960 * GIGABYTE),
    "sdb": Disk("sdb", 4000 * GIGABYTE, ("rotary", "sata")),
}
FULL = 10_000
"""How many machines a generated subnet gets."""


def demo_region(*, speed: float = 60.0, clock: Callable[[], float] = time.monotonic) -> SimulatedRegion:
    """Build a region with the machines ``node01`` to ``node12``, the superuser ``admin`` and the user ``bob``."""
    region = SimulatedRegion(DEMO_USERS, speed=speed, clock=clock)
    add_demo_machines(region)
    return region


def add_demo_machines(region: SimulatedRegion) -> None:
    """Add the twelve machines of the demonstration with their history."""
    for number, fields in enumerate(json.loads(DEMO.read_text(encoding="utf-8")), 1):
        fields |= {"status": Status[fields["status"]], "tag_names": tuple(fields.get("tag_names", ()))}
        if "disks" in fields:
            fields["disks"] = tuple(DISKS[name] for name in fields["disks"])
        machine = SimulatedMachine(number=number, **fields)
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
