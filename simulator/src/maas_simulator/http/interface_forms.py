"""The forms of network interfaces: their fields by type, the checks between fields, and what they store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from maas_simulator.model import fields
from maas_simulator.model.fields import Cleaning, Field, RecordForm
from maas_simulator.model.forms import Form
from maas_simulator.model.interfaces import BOND, BRIDGE, PHYSICAL, VLAN
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record, Table, Tables
from maas_simulator.model.statuses import Status
from maas_simulator.state import RegionState

WHILE_DEPLOYED: Final = frozenset({"name", "mac_address"})
"""What can be changed of an interface of a deployed machine."""
PARENTS: Final[Mapping[str, str]] = {
    BOND: "A bond interface must have one or more parents.",
    BRIDGE: "A bridge interface must have exactly one parent.",
    VLAN: "A VLAN interface must have exactly one parent.",
}
"""MAAS's messages for a wrong number of parents, by type."""

_COMMON: Final = (
    Field("tags", fields.listed, default=[], several=True),
    Field("vlan", fields.reference("VLAN"), default=None),
    Field("mtu", fields.whole(552, 65535), default=None),
    Field("accept_ra", fields.boolean, default=None),
    Field("autoconf", fields.boolean, default=None),
)
_MODES: Final = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
_HASHES: Final = ("layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4")
_OWN: Final[Mapping[str, Sequence[Field]]] = {
    PHYSICAL: (
        Field("interface_speed", fields.whole(0), default=0),
        Field("link_speed", fields.whole(0), default=0),
        Field("link_connected", fields.boolean, default=True),
    ),
    BOND: (
        Field("bond_mode", fields.one_of("bond_mode", *_MODES), default="active-backup"),
        Field("bond_miimon", fields.whole(0), default=100),
        Field("bond_downdelay", fields.whole(0), default=0),
        Field("bond_updelay", fields.whole(0), default=0),
        Field("bond_lacp_rate", fields.one_of("bond_lacp_rate", "fast", "slow"), default="fast"),
        Field("bond_xmit_hash_policy", fields.one_of("bond_xmit_hash_policy", *_HASHES), default="layer2"),
        Field("bond_num_grat_arp", fields.whole(0, 255), default=1),  # codespell:ignore grat
    ),
    BRIDGE: (
        Field("bridge_type", fields.one_of("bridge_type", "standard", "ovs"), default="standard"),
        Field("bridge_stp", fields.boolean, default=False),
        Field("bridge_fd", fields.whole(0), default=15),
    ),
    VLAN: (),
}
_PARAMS: Final = frozenset(
    {"mtu", "accept_ra", "autoconf", *(field.name for kind in (BOND, BRIDGE) for field in _OWN[kind])}
)
"""The fields that MAAS stores and shows as ``params``."""


@dataclass(frozen=True)
class InterfaceForm:
    """The form of one of the interfaces of a machine; ``old`` is the one to change.

    MAAS renames the parents of a VLAN interface and of a bridge to ``parent``, of which they have one.
    """

    region: RegionState
    machine: SimulatedMachine
    nics: Table
    kind: str
    old: Record | None = None

    def clean(self, given: Form) -> Record:
        """Return the values to store, with ``params``; a ``Refusal`` with all errors."""
        mac = Field("mac_address", fields.mac_address, required=self.kind == PHYSICAL)
        parents = () if self.kind == PHYSICAL else (Field(self._parents, self._read_parents, default=[], several=True),)
        name = Field("name", fields.text(255), required=self.kind in (BOND, BRIDGE))
        form = RecordForm("Interface", name, *_COMMON, mac, *parents, *_OWN[self.kind], check=self._check)
        if self.machine.status is Status.DEPLOYED:
            given = {name: values for name, values in given.items() if name in WHILE_DEPLOYED}
        old = self.old and {
            **dict.fromkeys(_PARAMS),
            **self.old,
            **self.old["params"],
            self._parents: self.old["parents"],
        }
        values = form.clean(self.region.tables, given, None, old)
        params = {name: values.pop(name) for name in _PARAMS & values.keys()}
        parent_ids = values.pop(self._parents, [])
        return {**values, "parents": parent_ids, "params": {k: v for k, v in params.items() if v is not None}}

    @property
    def _parents(self) -> str:
        return "parents" if self.kind == BOND else "parent"

    @property
    def _others(self) -> list[Record]:
        return [nic for nic in self.nics.values() if self.old is None or nic["id"] != self.old["id"]]

    def _read_parents(self, tables: Tables, value: str) -> list[int]:
        known = fields.choice(*(str(nic["id"]) for nic in self._others))
        return [int(known(tables, name)) for name in value.split(",") if name]

    def _check(self, cleaning: Cleaning) -> None:
        values = cleaning.values
        parents = [self.nics[number] for number in values.get(self._parents) or ()]
        if parents:
            values["mac_address"] = values["mac_address"] or parents[0]["mac_address"]
        if self.kind == VLAN:
            self._check_vlan(cleaning, parents)
        elif parents:
            values["vlan"] = values["vlan"] or parents[0]["vlan"]
        if self.kind != PHYSICAL:
            self._check_parents(cleaning, parents)
        elif not values["name"]:
            names = {nic["name"] for nic in self.nics.values()}
            values["name"] = next(name for index in range(len(names) + 1) if (name := f"eth{index}") not in names)
        self._check_unique(cleaning, parents)

    def _check_parents(self, cleaning: Cleaning, parents: Sequence[Record]) -> None:
        """Check the number of parents, that no other bond or bridge uses them, and that a bond is in one VLAN."""
        if self.kind != VLAN and not cleaning.values["mac_address"] and "mac_address" not in cleaning.errors:
            cleaning.add_error("mac_address", "This field cannot be blank.")
        if self._parents in cleaning.errors:
            return
        used = {number for nic in self._others if nic["type"] != VLAN for number in nic["parents"]}
        taken = sorted(parent["name"] for parent in parents if parent["id"] in used)
        if not parents or (self.kind != BOND and len(parents) > 1):
            cleaning.add_error(self._parents, PARENTS[self.kind])
        elif taken and self.kind != VLAN:
            verb = "is" if len(taken) == 1 else "are"
            cleaning.add_error(self._parents, f"{', '.join(taken)} {verb} already in-use by another interface.")
        elif self.kind == BOND and len({parent["vlan"] for parent in parents}) > 1:
            cleaning.add_error(self._parents, "All parents must belong to the same VLAN.")

    def _check_vlan(self, cleaning: Cleaning, parents: Sequence[Record]) -> None:
        values = cleaning.values
        vlan = cleaning.tables["VLAN"].get(values["vlan"] or 0)
        if vlan is None and "vlan" not in cleaning.errors:
            cleaning.add_error("vlan", "VLAN interface requires connection to a VLAN.")
        elif vlan and vlan["vid"] == 0:
            cleaning.add_error("vlan", "A VLAN interface can only belong to a tagged VLAN.")
        elif vlan and parents:
            values["name"] = values["name"] or f"{parents[0]['name']}.{vlan['vid']}"

    def _check_unique(self, cleaning: Cleaning, parents: Sequence[Record]) -> None:
        name, mac = cleaning.values["name"], cleaning.values["mac_address"]
        if name and any(nic["name"] == name for nic in self._others):
            cleaning.add_error("name", f"Node {self.machine.hostname} already has an interface named '{name}'.")
        shared = {nic["mac_address"] for nic in (*parents, *((self.old,) if self.old else ()))}
        owner = None if self.kind == VLAN or not mac or mac in shared else self.region.owner_of_mac(mac)
        if owner is not None:
            cleaning.add_error("mac_address", f"This MAC address is already in use by {owner}.")


def occupy_parents(nics: Table, nic: Record) -> None:
    """Move the parents of a bond or bridge to its VLAN, and the links of a bridge's parent to the bridge."""
    for parent in (nics[number] for number in nic["parents"]) if nic["type"] in (BOND, BRIDGE) else ():
        if nic["type"] == BRIDGE:
            nic["links"] += parent["links"]
        parent["links"], parent["vlan"] = [], nic["vlan"]
