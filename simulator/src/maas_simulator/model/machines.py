"""A simulated machine: hardware, power, owner and status."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from maas_simulator.model.disks import Storage
from maas_simulator.model.hardware import GIGABYTE, SIMULATED, Disk, Hardware
from maas_simulator.model.networks import BOOT_NETWORK, RACK, discovered_address, own_address
from maas_simulator.model.power import UNCONFIGURED, BmcFailure, Command
from maas_simulator.model.scripts import ScriptSet, SetType
from maas_simulator.model.statuses import AT_REST, HELD, Status

MANUAL = "manual"
"""The power type of machines that MAAS can neither switch nor query."""
MAX_LISTED = 20
"""How many machines a message lists."""


@dataclass
class Rack:
    """A controller: of racks, and of the region too unless ``is_region`` is false.

    Unless it is ``connected``, MAAS cannot switch its machines on or off.
    """

    system_id: str
    hostname: str
    connected: bool = True
    is_region: bool = True
    description: str = ""
    zone: str = "default"
    tag_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A planned failure: the next operation with this stage fails or hangs there."""

    stage: str
    hangs: bool = False
    reason: str | None = None


@dataclass(slots=True)
class SimulatedMachine:
    """One machine. ``memory`` is in MiB; ``number`` is unique and determines its addresses and object ids.

    A machine that was never commissioned hides its hardware (``known`` is false). ``pod`` is the VM host of a virtual
    machine. A machine that was ``composed`` for an allocation is deleted on release.
    """

    system_id: str
    hostname: str
    number: int
    status: Status = Status.NEW
    architecture: str = "amd64/generic"
    cpu_count: int = 8
    memory: int = 16384
    numa_node: tuple[int, int] | None = None
    """The processors and memory that commissioning found, after a request changed them in MAAS."""
    disks: tuple[Disk, ...] = (Disk("sda", 480 * GIGABYTE),)
    fabrics: tuple[int, ...] = ()
    """The fabrics of its NICs after the first."""
    tag_names: tuple[str, ...] = ()
    zone: str = "default"
    pool: str = "default"
    domain: str = "maas"
    description: str = ""
    hardware: Hardware = SIMULATED
    min_hwe_kernel: str = ""
    swap_size: int | None = None
    """In bytes."""
    is_dpu: bool = False
    annotations: dict[str, str] = field(default_factory=dict)
    """The data of its owner, which MAAS also calls workload annotations."""
    power_type: str = "ipmi"
    power_parameters: dict[str, str] | None = None
    """By default fictitious ones."""
    power_state: str = "off"
    """The state that MAAS has stored and shows."""
    bmc_state: str | None = None
    """The state that the BMC reports, if it differs."""
    power_cycles: int = 0
    """How often a power-on switched the machine off and on again."""
    owner: str | None = None
    agent_name: str = ""
    locked: bool = False
    netboot: bool = True
    known: bool = True
    booted: bool = False
    """Whether a machine that is not known has booted from the network, so that MAAS knows how it boots and where."""
    pod: str | None = None
    composed: bool = False
    is_vm_host: bool = False
    osystem: str = ""
    distro_series: str = ""
    hwe_kernel: str | None = None
    acquired: bool | None = None
    """Whether a user's file systems are on its disks: from its allocation until its release. By default, by status."""
    addressed: bool = False
    """Whether it has its own address: from the start of a deployment until its release."""
    macs: tuple[str, ...] = ()
    """The MAC addresses of a machine created through the API; those of others are derived from ``number``."""
    storage: Storage | None = field(default=None, init=False)
    """Its storage, once it was changed."""
    laid_out: bool = True
    """Whether its disks have a storage layout. Commissioning first removes it."""
    linked: bool = True
    """Whether its NICs are linked to subnets. Commissioning first removes the links."""
    skip_networking: bool = False
    """Whether its commissioning leaves the links of its NICs as they are."""
    skip_storage: bool = False
    """Whether its commissioning leaves its storage layout as it is."""
    enable_ssh: bool = False
    """Whether it stays on after commissioning or testing."""
    ephemeral_deploy: bool = False
    enable_hw_sync: bool = False
    last_sync: float | None = None
    """When the agent of ``enable_hw_sync`` last reported."""
    enable_kernel_crash_dump: bool = False
    error_description: str = ""
    status_message: str | None = None
    status_action: str | None = ""
    previous_status: Status = Status.NEW
    subnet: int = 1
    """The id of the subnet from which it boots and gets its addresses."""
    discovered_address: str = ""
    """Its address during commissioning; by default in the default boot subnet, by ``number``."""
    own_address: str = ""
    """Its address while it is deployed."""
    rack: str = RACK
    """The system id of the rack controller that switches it on and off."""
    bmc_down: BmcFailure | None = None
    """The failure of its BMC, or None."""
    plans: list[Plan] = field(default_factory=list)
    current: dict[SetType, int] = field(default_factory=dict)
    sets: list[ScriptSet] = field(default_factory=list)
    """Its script sets, oldest first."""

    def __post_init__(self) -> None:
        if self.acquired is None:
            self.acquired = self.status in HELD
        self.discovered_address = self.discovered_address or discovered_address(BOOT_NETWORK, self.number)
        self.own_address = self.own_address or own_address(BOOT_NETWORK, self.number)

    @property
    def fqdn(self) -> str:
        """The hostname with the domain."""
        return f"{self.hostname}.{self.domain}"

    @property
    def status_name(self) -> str:
        """The display name of the status, such as ``Failed deployment``."""
        return self.status.display

    @property
    def is_on(self) -> bool:
        """Whether MAAS has to switch the machine off, because it does not know it to be off."""
        return self.power_state != "off" and self.power_type not in ("", MANUAL)

    @property
    def real_power(self) -> str:
        """The state that the BMC reports to a query."""
        return self.bmc_state or self.power_state

    def bmc_failure(self, *commands: Command) -> BmcFailure | None:
        """Why the BMC does not carry out these commands; None if it does."""
        failure = self.bmc_down if self.power_type else UNCONFIGURED
        refuses = failure is not None and any(failure.refuses(each, self.real_power) for each in commands)
        return failure if refuses else None

    @property
    def restart(self) -> tuple[Command, ...]:
        """The commands that start the machine, or restart it if it is on."""
        return ("off", "on") if self.is_on else ("on",)

    @property
    def installed(self) -> bool:
        """Whether an operating system is installed or being installed."""
        return bool(self.osystem)

    @property
    def mac_addresses(self) -> tuple[str, ...]:
        """The MAC addresses of its NICs; the boot NIC is the first."""
        third, fourth, fifth = self.number.to_bytes(3, "big")
        own = f"52:54:{third:02x}:{0xAA ^ fourth:02x}:{fifth:02x}"
        return self.macs or tuple(f"{own}:{index:02x}" for index in range(1, 2 + len(self.fabrics)))

    @property
    def pace(self) -> float:
        """A fixed factor between 0.9 and 1.1 for the length of every stage on this machine."""
        digest = hashlib.sha256(self.system_id.encode()).digest()
        return 0.9 + 0.2 * digest[0] / 255

    @property
    def mounted(self) -> bool:
        """Whether its filesystems are shown. While it is in use, those count that it got when it was acquired."""
        return self.status in AT_REST or bool(self.acquired)

    def switch(self, state: str) -> None:
        """Switch the machine ``on`` or ``off``, with MAAS's knowledge."""
        self.power_state, self.bmc_state = state, None

    def plan_for(self, stages: frozenset[str]) -> Plan | None:
        """Remove and return the first plan for one of these stages. Plans for other operations stay."""
        for plan in self.plans:
            if plan.stage in stages:
                self.plans.remove(plan)
                return plan
        return None

    def clear_installation(self) -> None:
        """Remove the operating system, as a release does. It leaves some options of the deployment as they were."""
        self.osystem = self.distro_series = ""
        self.hwe_kernel = None
        self.enable_hw_sync, self.last_sync = False, None
        self.is_vm_host = False
        self.netboot = True


class Machines(dict[str, SimulatedMachine]):
    """The machines of a region by system id, with a lookup by hostname."""

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
        """Change a machine's hostname."""
        del self._hostnames[machine.hostname]
        machine.hostname = hostname
        self._hostnames[hostname] = machine

    def called(self, hostnames: Iterable[str]) -> list[SimulatedMachine]:
        """Return the machines with these hostnames; unknown hostnames are skipped."""
        return [self._hostnames[name] for name in dict.fromkeys(hostnames) if name in self._hostnames]

    def named(self, name: str) -> SimulatedMachine:
        """Return the machine with this hostname or system id; ``KeyError`` if there is none."""
        found = self._hostnames.get(name) or self.get(name)
        if found is None:
            known = ", ".join(islice(self._hostnames, MAX_LISTED))
            more = f" and {len(self) - MAX_LISTED} more" if len(self) > MAX_LISTED else ""
            raise KeyError(f"there is no machine {name!r}; the machines are: {known}{more}")
        return found
