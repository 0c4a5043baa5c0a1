"""The forms of network interfaces: their fields by type, the checks between fields, and what they store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from maas_simulator.model.fields import (
    Cleaning,
    Field,
    Invalid,
    RecordForm,
    boolean,
    listed,
    mac_address,
    one_of,
    reference,
    text,
    whole,
)
from maas_simulator.model.forms import Form
from maas_simulator.model.interfaces import BOND, BRIDGE, PHYSICAL, VLAN, interfaces
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record, Table, Tables
from maas_simulator.state import RegionState

BLANK: Final = "This field cannot be blank."
PARENTS: Final[Mapping[str, str]] = {
    BOND: "A bond interface must have one or more parents.",
    BRIDGE: "A bridge interface must have exactly one parent.",
    VLAN: "A VLAN interface must have exactly one parent.",
}
"""MAAS's messages for a wrong number of parents, by type."""

_COMMON: Final = (
    Field("tags", listed, default=[], several=True),
    Field("vlan", reference("VLAN"), default=None),
    Field("mtu", whole(552, 65535), default=None),
    Field("accept_ra", boolean, default=None),
    Field("autoconf", boolean, default=None),
)
_MODES: Final = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
_HASHES: Final = ("layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4")
_OWN: Final[Mapping[str, Sequence[Field]]] = {
    PHYSICAL: (
        Field("interface_speed", whole(0), default=0),
        Field("link_speed", whole(0), default=0),
        Field("link_connected", boolean, default=True),
    ),
    BOND: (
        Field("bond_mode", one_of("bond_mode", *_MODES), default="active-backup"),
        Field("bond_miimon", whole(0), default=100),
        Field("bond_downdelay", whole(0), default=0),
        Field("bond_updelay", whole(0), default=0),
        Field("bond_lacp_rate", one_of("bond_lacp_rate", "fast", "slow"), default="fast"),
        Field("bond_xmit_hash_policy", one_of("bond_xmit_hash_policy", *_HASHES), default="layer2"),
        Field("bond_num_grat_arp", whole(0, 255), default=1),  # codespell:ignore grat
    ),
    BRIDGE: (
        Field("bridge_type", one_of("bridge_type", "standard", "ovs"), default="standard"),
        Field("bridge_stp", boolean, default=False),
        Field("bridge_fd", whole(0), default=15),
    ),
    VLAN: (),
}
_PARAMS: Final = frozenset(
    {"mtu", "accept_ra", "autoconf", *(field.name for kind in (BOND, BRIDGE) for field in _OWN[kind])}
)
"""The fields that MAAS stores and shows as ``params``."""


@dataclass(frozen=True)
class InterfaceForm:
    """The form of an interface of a machine; ``old`` is the one to change.

    MAAS renames the parents of a VLAN interface and of a bridge to ``parent``, of which they have one.
    """

    region: RegionState
    machine: SimulatedMachine
    kind: str
    old: Record | None = None
    only: frozenset[str] | None = None
    """The fields that can be changed, if not all."""

    @property
    def nics(self) -> Table:
        """The interfaces of the machine."""
        return interfaces(self.region.tables, self.machine)

    def clean(self, given: Form) -> Record:
        """Return the values to store, with ``params``; a ``Refusal`` with all errors."""
        mac = Field("mac_address", mac_address, required=self.kind == PHYSICAL)
        parents = () if self.kind == PHYSICAL else (Field(self._parents, self._read_parents, default=[], several=True),)
        name = Field("name", text(255), required=self.kind in (BOND, BRIDGE))
        fields = [name, *_COMMON, mac, *parents, *_OWN[self.kind]]
        if self.only is not None:
            given = {name: values for name, values in given.items() if name in self.only}
        form = RecordForm("Interface", fields, self._check)
        old = self.old and {
            **dict.fromkeys(_PARAMS),
            **self.old,
            **self.old["params"],
            self._parents: self.old["parents"],
        }
        values = form.clean(self.region.tables, given, self.nics, old)
        params = {name: values.pop(name) for name in _PARAMS & values.keys()}
        parent_ids = values.pop(self._parents, [])
        return {**values, "parents": parent_ids, "params": {k: v for k, v in params.items() if v is not None}}

    @property
    def _parents(self) -> str:
        return "parents" if self.kind == BOND else "parent"

    def _read_parents(self, _tables: Tables, value: str) -> list[int]:
        found = []
        for name in filter(None, value.split(",")):
            if not name.isdecimal() or int(name) not in self.nics or (self.old and int(name) == self.old["id"]):
                raise Invalid(f"Select a valid choice. {name} is not one of the available choices.")
            found.append(int(name))
        return found

    def _check(self, cleaning: Cleaning) -> None:
        values = cleaning.values
        parents = [self.nics[number] for number in values.get(self._parents) or ()]
        if parents and not values["mac_address"] and "mac_address" not in cleaning.errors:
            values["mac_address"] = parents[0]["mac_address"]
        if self.kind in (BOND, BRIDGE) and not values["mac_address"] and "mac_address" not in cleaning.errors:
            cleaning.add_error("mac_address", BLANK)
        if self.kind != PHYSICAL and self._parents not in cleaning.errors:
            if not parents or (self.kind != BOND and len(parents) > 1):
                cleaning.add_error(self._parents, PARENTS[self.kind])
            elif self.kind != VLAN:
                self._check_shared(cleaning, parents)
        if parents and not values["vlan"] and self.kind in (BOND, BRIDGE):
            values["vlan"] = parents[0]["vlan"]
        if self.kind == VLAN:
            self._check_vlan(cleaning, parents)
        self._name(cleaning)
        self._check_unique(cleaning, parents)

    def _check_shared(self, cleaning: Cleaning, parents: Sequence[Record]) -> None:
        """Check that the parents are not used by another interface, and that a bond is in one VLAN."""
        taken = [
            parent["name"]
            for parent in parents
            if any(parent["id"] in nic["parents"] and nic["type"] != VLAN for nic in self._others())
        ]
        if taken:
            words = (
                "is already in-use by another interface."
                if len(taken) == 1
                else "are already in-use by another interface."
            )
            cleaning.add_error(self._parents, f"{', '.join(sorted(taken))} {words}")
        elif self.kind == BOND and len({parent["vlan"] for parent in parents}) > 1:
            cleaning.add_error(self._parents, "All parents must belong to the same VLAN.")

    def _check_vlan(self, cleaning: Cleaning, parents: Sequence[Record]) -> None:
        values = cleaning.values
        vlan = self.region.tables["VLAN"].get(values["vlan"] or 0)
        if vlan is None:
            if "vlan" not in cleaning.errors:
                cleaning.add_error("vlan", "VLAN interface requires connection to a VLAN.")
        elif vlan["vid"] == 0:
            cleaning.add_error("vlan", "A VLAN interface can only belong to a tagged VLAN.")
        elif parents and not values["name"]:
            values["name"] = f"{parents[0]['name']}.{vlan['vid']}"

    def _name(self, cleaning: Cleaning) -> None:
        values = cleaning.values
        if self.kind == PHYSICAL and not values["name"]:
            names = {nic["name"] for nic in self.nics.values()}
            values["name"] = next(name for index in range(len(names) + 1) if (name := f"eth{index}") not in names)

    def _check_unique(self, cleaning: Cleaning, parents: Sequence[Record]) -> None:
        values, machine = cleaning.values, self.machine
        if values["name"] and any(nic["name"] == values["name"] for nic in self._others()):
            message = f"Node {machine.hostname} already has an interface named '{values['name']}'."
            cleaning.add_error("name", message)
        mac = values["mac_address"]
        if not mac or self.kind == VLAN or mac in {parent["mac_address"] for parent in parents}:
            return
        if self.old is not None and mac == self.old["mac_address"]:
            return
        owner = self.region.owner_of_mac(mac)
        if owner is not None:
            cleaning.add_error("mac_address", f"This MAC address is already in use by {owner}.")

    def _others(self) -> list[Record]:
        return [nic for nic in self.nics.values() if self.old is None or nic["id"] != self.old["id"]]


def occupy_parents(nics: Table, nic: Record) -> None:
    """Move the parents of a bond or bridge to its VLAN, and the links of a bridge's parent to the bridge."""
    for parent in (nics[number] for number in nic["parents"]) if nic["type"] in (BOND, BRIDGE) else ():
        if nic["type"] == BRIDGE:
            nic["links"] += parent["links"]
        parent["links"], parent["vlan"] = [], nic["vlan"]
