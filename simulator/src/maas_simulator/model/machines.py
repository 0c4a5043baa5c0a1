"""A simulated machine: its hardware, its BMC and power, its owner and its status."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from maas_simulator.model.networks import BOOT_SUBNET, RACK, Subnet
from maas_simulator.model.power import UNCONFIGURED, BmcFailure
from maas_simulator.model.scripts import ScriptSet, SetType
from maas_simulator.model.statuses import AT_REST, HELD, Status

GIGABYTE = 10**9
MANUAL = "manual"
"""The power type of machines that MAAS can neither switch on or off, nor ask."""
MENTIONED = 20
"""How many machines a message names."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A physical disk; ``size`` is in bytes."""

    name: str
    size: int
    tags: tuple[str, ...] = ("ssd",)


@dataclass
class Rack:
    """A rack controller; while it is not ``connected``, nobody can switch its machines on or off."""

    system_id: str
    hostname: str
    connected: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to go wrong: the stage at which the next operation that has it fails or hangs."""

    stage: str
    hangs: bool = False
    reason: str | None = None


@dataclass(slots=True)
class SimulatedMachine:
    """One machine. ``memory`` is in MiB; ``number`` is unique and gives it its addresses and object ids.

    A machine that was never commissioned has hardware, but shows none of it (``known`` is false). ``pod`` is the VM
    host that it is a virtual machine of; one that was ``composed`` for an allocation is deleted when it is released.
    """

    system_id: str
    hostname: str
    number: int
    status: Status = Status.NEW
    architecture: str = "amd64/generic"
    cpu_count: int = 8
    memory: int = 16384
    disks: tuple[Disk, ...] = (Disk("sda", 480 * GIGABYTE),)
    fabrics: tuple[int, ...] = ()
    """Those of its NICs beyond the first."""
    tag_names: tuple[str, ...] = ()
    zone: str = "default"
    pool: str = "default"
    description: str = ""
    power_type: str = "ipmi"
    power_state: str = "off"
    """What MAAS has stored, and shows."""
    bmc_state: str | None = None
    """What the BMC says, where that is something else."""
    power_cycles: int = 0
    """How often it was switched off and on again because it was to be switched on."""
    owner: str | None = None
    agent_name: str = ""
    locked: bool = False
    netboot: bool = True
    known: bool = True
    pod: str | None = None
    composed: bool = False
    is_vm_host: bool = False
    osystem: str = ""
    distro_series: str = ""
    hwe_kernel: str | None = None
    addressed: bool = False
    """Whether it has an address of its own: from the start of a deployment until it is given back."""
    macs: tuple[str, ...] = ()
    """The MAC addresses of a machine that somebody made; those of all others follow from ``number``."""
    laid_out: bool = True
    """Whether its disks are laid out: a commissioning begins by undoing that."""
    linked: bool = True
    """Whether its NICs are linked to subnets: a commissioning begins by undoing that, too."""
    enable_ssh: bool = False
    """Whether the scripts that run leave it switched on."""
    ephemeral_deploy: bool = False
    enable_hw_sync: bool = False
    enable_kernel_crash_dump: bool = False
    error_description: str = ""
    status_message: str | None = None
    status_action: str | None = ""
    previous_status: Status = Status.NEW
    subnet: Subnet = BOOT_SUBNET
    """Where it boots from, and has its addresses."""
    place: int = 0
    """Its number among the machines of the subnet; 0 is that of the machine itself."""
    bmc_down: BmcFailure | None = None
    """How its BMC fails, if it does."""
    plans: list[Plan] = field(default_factory=list)
    current: dict[SetType, int] = field(default_factory=dict)
    sets: list[ScriptSet] = field(default_factory=list)
    """Its runs, the oldest first."""

    @property
    def status_name(self) -> str:
        """The display name of the status, such as ``Failed deployment``."""
        return self.status.display

    @property
    def is_on(self) -> bool:
        """Whether it is on as far as MAAS can know, and so has to be switched off."""
        believed = self.power_state if self.power_state in ("on", "off") else self.real_power
        return believed == "on" and self.power_type != MANUAL

    @property
    def real_power(self) -> str:
        """What its BMC says if it is asked, and answers."""
        return self.bmc_state or self.power_state

    @property
    def power_failure(self) -> BmcFailure | None:
        """Why it can be neither switched on nor off, whatever its rack controller can do."""
        return self.bmc_down if self.power_type else UNCONFIGURED

    @property
    def storage(self) -> float:
        """The size of all disks in MB, as MAAS counts it."""
        return sum(disk.size for disk in self.disks) / 10**6 if self.known else 0.0

    @property
    def installed(self) -> bool:
        """Whether an operating system is on it or on its way."""
        return bool(self.osystem)

    @property
    def ip_address(self) -> str:
        """The address of its own, or else the one it was discovered with."""
        return self.subnet.assigned(self.place or self.number) if self.addressed else self.discovered_address

    @property
    def discovered_address(self) -> str:
        """The address that it had when it was commissioned."""
        return self.subnet.discovered(self.place or self.number)

    @property
    def rack(self) -> str:
        """The system id of the rack controller that switches it on and off."""
        return self.subnet.vlan.primary_rack or RACK

    @property
    def mac_addresses(self) -> tuple[str, ...]:
        """The MAC addresses of its NICs, that of the one it boots from first."""
        third, fourth, fifth = self.number.to_bytes(3, "big")
        own = f"52:54:{third:02x}:{0xAA ^ fourth:02x}:{fifth:02x}"
        return self.macs or tuple(f"{own}:{index:02x}" for index in range(1, 2 + len(self.fabrics)))

    @property
    def pace(self) -> float:
        """How slow this machine is: a fixed factor between 0.9 and 1.1 for the length of every stage."""
        digest = hashlib.sha256(self.system_id.encode()).digest()
        return 0.9 + 0.2 * digest[0] / 255

    @property
    def mounted(self) -> bool:
        """Whether its file systems are shown: nobody has one of a machine that is on its way to something else."""
        return self.status in AT_REST | HELD or (self.status is not Status.RELEASING and self.previous_status in HELD)

    def switch(self, state: str) -> None:
        """Be ``on`` or ``off``, and let MAAS know."""
        self.power_state, self.bmc_state = state, None

    def plan_for(self, stages: frozenset[str]) -> Plan | None:
        """Take the first plan that concerns one of these stages; plans for other operations stay."""
        for plan in self.plans:
            if plan.stage in stages:
                self.plans.remove(plan)
                return plan
        return None

    def clear_installation(self) -> None:
        """Forget the operating system, as a release does."""
        self.osystem = self.distro_series = ""
        self.hwe_kernel = None
        self.ephemeral_deploy = False
        self.enable_hw_sync = False
        self.enable_kernel_crash_dump = False
        self.is_vm_host = False
        self.netboot = True


class Machines(dict[str, SimulatedMachine]):
    """The machines of a region by system id, and by hostname."""

    def __init__(self) -> None:
        super().__init__()
        self._hostnames: dict[str, SimulatedMachine] = {}

    def __setitem__(self, system_id: str, machine: SimulatedMachine) -> None:
        super().__setitem__(system_id, machine)
        self._hostnames[machine.hostname] = machine

    def __delitem__(self, system_id: str) -> None:
        del self._hostnames[self[system_id].hostname]
        super().__delitem__(system_id)

    def rename(self, machine: SimulatedMachine, hostname: str) -> None:
        """Give a machine another hostname, by which it is found from now on."""
        del self._hostnames[machine.hostname]
        machine.hostname = hostname
        self._hostnames[hostname] = machine

    def called(self, hostnames: Iterable[str]) -> list[SimulatedMachine]:
        """The machines with these hostnames; for the others, none."""
        return [self._hostnames[name] for name in dict.fromkeys(hostnames) if name in self._hostnames]

    def named(self, name: str) -> SimulatedMachine:
        """The machine with this hostname or system id; ``KeyError`` if there is none."""
        found = self._hostnames.get(name) or self.get(name)
        if found is None:
            known = ", ".join(islice(self._hostnames, MENTIONED))
            more = f" and {len(self) - MENTIONED} more" if len(self) > MENTIONED else ""
            raise KeyError(f"no machine is called {name!r}; there are {known}{more}")
        return found
