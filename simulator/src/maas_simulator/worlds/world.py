"""The models of a world file, and the region built from them."""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from maas_simulator.model.auth import User
from maas_simulator.model.built_in_scripts import BUILT_IN
from maas_simulator.model.costs import Costs
from maas_simulator.model.faults import Fault
from maas_simulator.model.forms import IMAGES
from maas_simulator.model.hardware import GIGABYTE, Disk
from maas_simulator.model.images import Images
from maas_simulator.model.machines import Rack, SimulatedMachine
from maas_simulator.model.networks import RACK, add_boot_subnet, add_fabric, discovered_address, own_address, places
from maas_simulator.model.organisation import set_pools, set_tags, set_zones
from maas_simulator.model.records import Record
from maas_simulator.model.statuses import Status
from maas_simulator.model.variants import Variant
from maas_simulator.operations.plans import Planned
from maas_simulator.region import SimulatedRegion
from maas_simulator.worlds.history import add_history
from maas_simulator.worlds.inputs import Input, Place, WorldError, check_known, check_unique, find_duplicate

StatusName = Literal["New", "Ready", "Allocated", "Deployed", "Failed deployment", "Broken"]
"""The statuses that a machine can start in."""

Name = Annotated[str, Field(pattern=r"^\w([ \w-]*\w)?$")]
"""The zone and resource pool names that MAAS accepts."""
TagName = Annotated[str, Field(pattern=r"^[\w.-]+$")]
SystemIdOfWorld = Annotated[str, Field(pattern=r"^[a-z0-9]{1,41}$")]
Cores = Annotated[int, Field(ge=1)]
Mebibytes = Annotated[int, Field(ge=1)]
Architecture = Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9-]+$")]
ScriptName = Annotated[str, Field(pattern=r"^[\w.-]+$")]
ImageName = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]

Shares = Annotated[
    dict[StatusName, Annotated[int, Field(ge=1)]],
    BeforeValidator(lambda value: {value: 1} if isinstance(value, str) else value),
]
"""Statuses with their relative shares."""

OWNED: Final = frozenset({"Allocated", "Deployed", "Failed deployment"})
LOCKABLE: Final = frozenset({"Deployed", "Failed deployment"})
"""MAAS 3.7 locks deployed and deploying machines; a deployment may then fail."""
HOSTNAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
WIDEST, NARROWEST = 8, 24
T = TypeVar("T")


class UserOfWorld(Input):
    """A user of the region."""

    name: str = Field(pattern=r"^[\w.@+-]+$")
    """The username."""
    superuser: bool = False
    """Whether the user may do everything. At least one user must be a superuser; the first one's API key is printed."""
    password: str = ""
    """The password for logging in. By default the username."""


class SubnetOfWorld(Input):
    """A subnet in its own fabric, from which machines boot and get their addresses."""

    name: str = Field(min_length=1)
    """The name that machines and filters refer to."""
    cidr: IPv4Network
    """The network, such as ``10.1.0.0/16``, from /8 to /24. A /24 has room for 54 machines, a /16 for 13,824."""
    gateway: IPv4Address | None = None
    """By default the last address."""
    rack: str = RACK
    """The system id of the rack controller that switches the machines on and off."""

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        if not WIDEST <= self.cidr.prefixlen <= NARROWEST:
            raise ValueError(
                f"the prefix of cidr must be from /{WIDEST} to /{NARROWEST}; it was /{self.cidr.prefixlen}"
            )
        ends = (self.cidr.network_address, self.cidr.broadcast_address)
        if self.gateway is not None and (self.gateway not in self.cidr or self.gateway in ends):
            raise ValueError(f"gateway must be a host address in {self.cidr}; it was {self.gateway}")
        return self


class DiskOfWorld(Input):
    """A physical disk."""

    name: str = Field(default="sda", pattern=r"^[\w-]+$")
    """The device name."""
    size: float = Field(default=480, gt=0)
    """In GB."""
    tags: tuple[str, ...] = ("ssd",)
    """The disk's tags. They are not tags of the machine."""


class MachinesOfWorld(Input):
    """One machine, or ``count`` of them. The values of a list are distributed evenly over the machines."""

    hostname: str
    """The hostname. With ``count``, ``{}`` is replaced by the number, as in Python formats: ``node{:05}``."""
    count: int = Field(default=1, ge=1, le=1_000_000)
    """How many machines."""
    system_id: SystemIdOfWorld | None = None
    """The system id of a single machine; by default a generated one."""
    status: Shares = Field(default={"Ready": 1}, min_length=1)
    """A status, or several with their shares: ``{Ready: 8, Deployed: 2}``."""
    owner: str | None = None
    """The owner of the machines whose status has an owner; by default the first superuser."""
    zone: str | list[str] = "default"
    """The availability zone."""
    pool: str | list[str] = "default"
    """The resource pool."""
    subnet: str | list[str] | None = None
    """By default all subnets."""
    tags: list[str] | list[list[str]] = Field(default_factory=list)
    """Tags that all machines have; or lists of tags, one of which each machine has."""
    architecture: Architecture | list[Architecture] = "amd64/generic"
    """The architecture, such as ``arm64/generic``."""
    cpu_count: Cores | list[Cores] = 8
    """Processor cores."""
    memory: Mebibytes | list[Mebibytes] = 16384
    """In MiB."""
    disks: list[DiskOfWorld] = Field(default_factory=lambda: [DiskOfWorld()])
    """By default one disk of 480 GB."""
    power_type: str = Field(default="ipmi", pattern=r"^[a-z0-9_-]*$")
    """The power type. MAAS cannot switch a ``manual`` machine. An empty power type is unconfigured."""
    locked: bool = False
    """Whether the machine is locked. Only for ``Deployed`` and ``Failed deployment``."""
    description: str = ""
    """The machine's description in MAAS."""

    @model_validator(mode="after")
    def _check_hostnames(self) -> Self:
        try:
            first, second, last = (self.hostname.format(number) for number in (1, 2, self.count))
        except (IndexError, KeyError, ValueError):
            raise ValueError(
                f"hostname is not a format for one number: {self.hostname!r}; write {{}} where the number belongs"
            ) from None
        if self.count > 1 and first == second:
            raise ValueError("hostname needs a {} for the number, because count is more than 1")
        for hostname in (first, last):
            if HOSTNAME.fullmatch(hostname) is None:
                raise ValueError(f"hostname must have up to 63 letters, digits and inner hyphens; it was {hostname!r}")
        if self.count > 1 and self.system_id is not None:
            raise ValueError("system_id is allowed only for a single machine; remove it or set count to 1")
        return self

    @model_validator(mode="after")
    def _check_statuses(self) -> Self:
        if self.locked and not LOCKABLE.issuperset(self.status):
            raise ValueError(f"locked is allowed only with the status {' and '.join(sorted(LOCKABLE))}")
        if self.owner is not None and OWNED.isdisjoint(self.status):
            raise ValueError(f"owner is allowed only with the status {', '.join(sorted(OWNED))}")
        if (duplicate := find_duplicate(disk.name for disk in self.disks)) is not None:
            raise ValueError(f"two disks have the name {self.disks[duplicate].name}; disk names must be unique")
        return self


class SettingsOfWorld(Input):
    """MAAS settings that change its behaviour."""

    enable_disk_erasing_on_release: bool = False
    """Whether every release erases the disks, even when the request does not ask for it."""


class World(Input):
    """The initial state of a region."""

    speed: float = Field(default=60.0, ge=0, allow_inf_nan=False)
    """Simulated seconds per real second. At 0, time passes only on requests to the control API."""
    users: list[UserOfWorld] = Field(
        default_factory=lambda: [UserOfWorld(name="admin", superuser=True), UserOfWorld(name="bob")]
    )
    """By default the superuser ``admin``, and ``bob``."""
    zones: dict[Name, str | None] | None = None
    """Zones with their descriptions, in addition to ``default``. By default those of the demonstration."""
    pools: dict[Name, str | None] | None = None
    """Resource pools with their descriptions, in addition to ``default``. By default those of the demonstration."""
    tags: dict[TagName, str | None] | None = None
    """Tags with their comments. By default those of the demonstration."""
    racks: dict[SystemIdOfWorld, str] = Field(default_factory=lambda: {RACK: "rack01"}, min_length=1)
    """The rack controllers: hostnames by system id."""
    subnets: list[SubnetOfWorld] = Field(default_factory=list)
    """By default the subnet of the demonstration, which has room for 54 machines."""
    images: list[ImageName] = Field(default_factory=lambda: list(IMAGES), min_length=1)
    """The images that can be deployed, as ``osystem/series``."""
    settings: SettingsOfWorld = Field(default_factory=SettingsOfWorld)
    """By default the settings of a new MAAS."""
    costs: Costs = Field(default_factory=Costs)
    """How long requests take."""
    variant: Variant = Field(default_factory=Variant)
    """The region's behaviour where regions of MAAS 3.7.3 differ."""
    release_scripts: dict[ScriptName, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    """Custom release scripts, with their lengths in simulated seconds. MAAS itself only has the erase."""
    machines: list[MachinesOfWorld] = Field(default_factory=list)
    """The machines, singly or in groups."""
    plans: list[Planned] = Field(default_factory=list)
    """Planned failures, as in the control API."""
    faults: list[Fault] = Field(default_factory=list)
    """Faults that requests meet, as in the control API."""

    def region(self, *, speed: float | None = None, clock: Callable[[], float] = time.monotonic) -> SimulatedRegion:
        """Build the region; ``WorldError`` if the parts do not fit together."""
        region = SimulatedRegion(self._users(), speed=self.speed if speed is None else speed, clock=clock)
        self.fill(region)
        return region

    def fill(self, region: SimulatedRegion) -> None:
        """Put everything, including the users, into a region without machines; ``WorldError`` as above."""
        region.users.clear()
        region.users.update((user.username, user) for user in self._users())
        self._configure(region)
        for machine in self._build_machines(region):
            region.machines[machine.system_id] = machine
            add_history(region, machine)
        for index, plan in enumerate(self.plans):
            try:
                region.add_plan(plan)
            except (KeyError, ValueError) as error:
                raise WorldError(("plans", index), str(error.args[0])) from None
        region.faults.extend(deepcopy(self.faults))  # A fault counts down its uses.

    def _users(self) -> list[User]:
        if not any(user.superuser for user in self.users):
            raise WorldError(("users",), "at least one user must be a superuser; its API key is printed")
        check_unique(("users",), "name", [user.name for user in self.users])
        return [User(user.name, user.superuser, user.password) for user in self.users]

    def _configure(self, region: SimulatedRegion) -> None:
        tables = region.tables
        for fill, described in ((set_zones, self.zones), (set_pools, self.pools), (set_tags, self.tags)):
            if described is not None:
                fill(tables, described)
        if (script := next((name for name in self.release_scripts if name in BUILT_IN), None)) is not None:
            raise WorldError(
                ("release_scripts", script), "MAAS has a script with this name already; choose another name"
            )
        region.release_scripts = dict(self.release_scripts)
        region.settings.update(self.settings)
        region.variant, region.costs = self.variant, self.costs
        region.racks = {system_id: Rack(system_id, hostname) for system_id, hostname in self.racks.items()}
        if (duplicate := find_duplicate(self.images)) is not None:
            raise WorldError(
                ("images", duplicate), f"the image {self.images[duplicate]} is listed twice; remove one of them"
            )
        region.images = Images(region.schedule, self.images)
        self._check_subnets(region)
        if self.subnets:
            for kind in ("Fabric", "VLAN", "Subnet", "IPRange"):
                tables.clear_table(kind)
            for subnet in self.subnets:
                vlan = add_fabric(tables, dhcp_on=True, primary_rack=subnet.rack)
                gateway = subnet.gateway or subnet.cidr.broadcast_address - 1
                add_boot_subnet(tables, subnet.name, subnet.cidr, vlan["id"], str(gateway))
        else:
            check_known(("racks",), "rack controller of the default subnet", RACK, region.racks)

    def _check_subnets(self, region: SimulatedRegion) -> None:
        check_unique(("subnets",), "name", [subnet.name for subnet in self.subnets])
        for index, subnet in enumerate(self.subnets):
            check_known(("subnets", index, "rack"), "rack controller", subnet.rack, region.racks)
            for before in self.subnets[:index]:
                if subnet.cidr.overlaps(before.cidr):
                    raise WorldError(
                        ("subnets", index, "cidr"),
                        f"it overlaps with subnet {before.name} ({before.cidr}); choose another network",
                    )

    def _build_machines(self, region: SimulatedRegion) -> Iterator[SimulatedMachine]:
        table = region.tables["Subnet"]
        subnets = {subnet["name"]: subnet for subnet in (table.values() if self.subnets else [table[1]])}
        taken: Counter[str] = Counter()
        number = 0
        for index, group in enumerate(self.machines):
            place: Place = ("machines", index)
            _check_names(place, group, region, subnets)
            owner = group.owner or next(user.name for user in self.users if user.superuser)
            for machine, subnet in _group(group, number, subnets, owner):
                number += 1
                _check_new(place, machine, region)
                network = IPv4Network(subnet["cidr"])
                taken[subnet["name"]] += 1
                if taken[subnet["name"]] > places(network):
                    raise WorldError(
                        place,
                        f"subnet {subnet['name']} ({network}) has room for {places(network)} machines; add a subnet",
                    )
                machine.subnet, machine.rack = subnet["id"], region.tables["VLAN"][subnet["vlan"]]["primary_rack"]
                machine.discovered_address = discovered_address(network, taken[subnet["name"]])
                machine.own_address = own_address(network, taken[subnet["name"]])
                yield machine


def _group(
    group: MachinesOfWorld, before: int, subnets: Mapping[str, Record], owner: str
) -> Iterator[tuple[SimulatedMachine, Record]]:
    """Build the machines of a group, with their subnets; ``before`` is the number of machines in earlier groups."""
    disks = tuple(Disk(disk.name, int(disk.size * GIGABYTE), disk.tags) for disk in group.disks)
    options: dict[str, Sequence[Any]] = {
        **{name: _as_list(getattr(group, name)) for name in ("zone", "pool", "architecture", "cpu_count", "memory")},
        "status": [name for name, share in group.status.items() for _ in range(share)],
        "subnet": _as_list(group.subnet or list(subnets)),
        "tags": [tuple(each) for each in group.tags if not isinstance(each, str)] or [tuple(group.tags)],
    }
    dealt = {name: _distribute(name, values, group.count) for name, values in options.items()}
    for index in range(group.count):
        values = {name: cards[index] for name, cards in dealt.items()}
        number, status, subnet = before + index + 1, values.pop("status"), values.pop("subnet")
        machine = SimulatedMachine(
            group.system_id or f"m{number:05}",
            group.hostname.format(index + 1),
            number,
            Status[status.upper().replace(" ", "_")],
            disks=disks,
            tag_names=values.pop("tags"),
            description=group.description,
            power_type=group.power_type,
            power_state="unknown" if status == "New" or not group.power_type else "off",
            owner=owner if status in OWNED else None,
            locked=group.locked,
            known=status != "New",
            status_action=None if status == "New" else "",
            **values,
        )
        yield machine, subnets[subnet]


def _distribute(what: str, options: Sequence[T], count: int) -> Sequence[T]:
    """Distribute the options evenly, in an order that differs between fields and is the same in every run."""
    cards = [options[index % len(options)] for index in range(count)]
    if len(options) > 1:
        random.Random(what).shuffle(cards)  # noqa: S311 - a world is no secret
    return cards


def _as_list(value: T | list[T]) -> list[T]:
    return value if isinstance(value, list) else [value]


def _check_names(place: Place, group: MachinesOfWorld, region: SimulatedRegion, subnets: Mapping[str, Record]) -> None:
    tables = region.tables
    tags = [tag for each in group.tags for tag in _as_list(each)]
    for field, kind, names, known in (
        ("zone", "zone", _as_list(group.zone), tables["Zone"].names),
        ("pool", "resource pool", _as_list(group.pool), tables["ResourcePool"].names),
        ("subnet", "subnet", _as_list(group.subnet or []), subnets),
        ("tags", "tag", tags, tables["Tag"].names),
        ("owner", "user", [group.owner] if group.owner is not None else [], region.users),
    ):
        for name in names:
            check_known((*place, field), kind, str(name), known)


def _check_new(place: Place, machine: SimulatedMachine, region: SimulatedRegion) -> None:
    if machine.system_id in region.machines:
        raise WorldError(
            (*place, "system_id"), f"two machines have the system id {machine.system_id}; system ids must be unique"
        )
    if region.machines.called([machine.hostname]):
        raise WorldError(
            (*place, "hostname"), f"two machines have the hostname {machine.hostname}; hostnames must be unique"
        )
