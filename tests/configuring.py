"""A call of each tool that configures machines, with its request and its effect in the simulator, for fault tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from maas_configure.adding import AddMachine
from maas_configure.deleting import DeleteMachine
from maas_configure.interface_changes import CreateInterface, DeleteInterface
from maas_configure.links import LinkSubnet, UnlinkSubnet
from maas_configure.power import SetPowerParameters
from maas_configure.storage import SetStorageLayout
from maas_configure.tagging import Tag
from maas_configure.updating import Update
from maas_mcp.api import Tool
from maas_simulator import SimulatedMachine, SimulatedRegion
from maas_simulator.http.render import machine_json

PASSWORD: Final = "correct-horse-battery"
IPMI: Final = {"power_address": "10.20.0.77", "power_user": "maas", "power_pass": PASSWORD}

Happened = Callable[[SimulatedRegion, SimulatedMachine], bool]


@dataclass(frozen=True, eq=False)
class Change:
    """A call that changes a Ready machine, or belongs to it: a new machine has its number in its name and address."""

    label: str
    tool: type[Tool[Any, Any]]
    arguments: Callable[[SimulatedRegion, SimulatedMachine], Mapping[str, Any]]
    """The arguments in addition to ``system_id``."""
    method: str
    op: str | None
    template: str
    """The beginning of the path of the request that makes the change, with ``{id}`` for the machine's system id."""
    happened: Happened
    names_machine: bool = True
    """Whether the call has the argument ``system_id``."""
    is_stated: bool = True
    """Whether MAAS shows the change, so that a second call sends nothing."""
    proves: bool = True
    """Whether MAAS shows it after a lost answer."""

    def arguments_for(self, region: SimulatedRegion, machine: SimulatedMachine) -> dict[str, Any]:
        named = {"system_id": machine.system_id} if self.names_machine else {}
        return {**named, **self.arguments(region, machine)}

    def path(self, machine: SimulatedMachine) -> str:
        return self.template.format(id=machine.system_id)

    def requests(self, region: SimulatedRegion, machine: SimulatedMachine) -> int:
        """How often the region has received the request, whatever its effect."""
        return len(
            [
                each
                for each in list(region.requests)
                if (each.method, each.op) == (self.method, self.op) and f"/{self.path(machine)}" in each.path
            ]
        )

    def __str__(self) -> str:
        return self.label


def shown(region: SimulatedRegion, machine: SimulatedMachine) -> dict[str, Any]:
    """A machine as MAAS shows it."""
    with region.lock:
        found: dict[str, Any] = machine_json(region, machine)
        return found


def interfaces(region: SimulatedRegion, machine: SimulatedMachine) -> dict[str, Any]:
    """The interfaces of a machine by name, as MAAS shows them."""
    return {each["name"]: each for each in shown(region, machine)["interface_set"]}


def links(region: SimulatedRegion, machine: SimulatedMachine) -> list[tuple[str, str | None]]:
    """The links of a machine's only interface: mode and address."""
    return [(each["mode"], each.get("ip_address")) for each in interfaces(region, machine)["eno1"]["links"]]


def new_mac(machine: SimulatedMachine) -> str:
    """The address of the machine that is added for this one."""
    return f"52:54:00:ee:00:{machine.number:02x}"


def added(region: SimulatedRegion, machine: SimulatedMachine) -> list[str]:
    """The hostnames of the machines with the new address."""
    with region.lock:
        return [each.hostname for each in region.machines.values() if new_mac(machine) in each.mac_addresses]


def _power_pass(machine: SimulatedMachine) -> object:
    return (machine.power_parameters or {}).get("power_pass")


def _is_bond(region: SimulatedRegion, machine: SimulatedMachine) -> bool:
    nic = interfaces(region, machine).get("bond0")
    return nic is not None and (nic["type"], nic["parents"], nic["params"]["bond_mode"]) == (
        "bond",
        ["eno1"],
        "802.3ad",
    )


_INTERFACES: Final = "nodes/{id}/interfaces/"
_MACHINE: Final = "machines/{id}/"
CHANGES: Final = (
    Change(
        "update",
        Update,
        lambda *_: {"zone": "az2", "description": "rack 4"},
        *("PUT", None, _MACHINE),
        lambda _, machine: (machine.zone, machine.description) == ("az2", "rack 4"),
    ),
    Change(
        "tag",
        Tag,
        lambda _, machine: {"tag": "gpu", "add": [machine.system_id]},
        *("POST", "update_nodes", "tags/gpu/"),
        lambda _, machine: "gpu" in machine.tag_names,
        names_machine=False,
    ),
    Change(
        "create a tag",
        Tag,
        lambda _, machine: {"tag": f"rack-{machine.number}", "add": [machine.system_id], "create": True},
        *("POST", None, "tags/"),
        lambda region, machine: region.tables["Tag"].named(f"rack-{machine.number}") is not None,
        names_machine=False,
    ),
    Change(
        "power type",
        SetPowerParameters,
        lambda *_: {"power_type": "redfish", "power_parameters": IPMI},
        *("PUT", None, _MACHINE),
        lambda _, machine: machine.power_type == "redfish",
        is_stated=False,
    ),
    Change(
        "power parameters",
        SetPowerParameters,
        lambda *_: {"power_type": "ipmi", "power_parameters": IPMI},
        *("PUT", None, _MACHINE),
        lambda _, machine: _power_pass(machine) == PASSWORD,
        is_stated=False,
        proves=False,
    ),
    Change(
        "bond",
        CreateInterface,
        lambda *_: {"type": "bond", "parents": ["eno1"], "name": "bond0", "bond_mode": "802.3ad", "mtu": 9000},
        *("POST", "create_bond", _INTERFACES),
        _is_bond,
    ),
    Change(
        "VLAN interface",
        CreateInterface,
        lambda *_: {"type": "vlan", "parents": ["eno1"], "vid": 100},
        *("POST", "create_vlan", _INTERFACES),
        lambda region, machine: "eno1.100" in interfaces(region, machine),
    ),
    Change(
        "bridge",
        CreateInterface,
        lambda *_: {"type": "bridge", "parents": ["eno1"], "name": "br0"},
        *("POST", "create_bridge", _INTERFACES),
        lambda region, machine: "br0" in interfaces(region, machine),
    ),
    Change(
        "delete interface",
        DeleteInterface,
        lambda *_: {"interface": "eno1"},
        *("DELETE", None, _INTERFACES),
        lambda region, machine: not interfaces(region, machine),
    ),
    Change(
        "link",
        LinkSubnet,
        lambda _, machine: {
            "interface": "eno1",
            "mode": "static",
            "subnet": "10.10.0.0/24",
            "ip_address": f"10.10.0.{20 + machine.number}",
        },
        *("POST", "link_subnet", _INTERFACES),
        lambda region, machine: ("static", f"10.10.0.{20 + machine.number}") in links(region, machine),
    ),
    Change(
        "unlink",
        UnlinkSubnet,
        lambda region, machine: {
            "interface": "eno1",
            "link_id": interfaces(region, machine)["eno1"]["links"][0]["id"],
        },
        *("POST", "unlink_subnet", _INTERFACES),
        lambda region, machine: links(region, machine) == [("link_up", None)],
    ),
    Change(
        "storage layout",
        SetStorageLayout,
        lambda *_: {"storage_layout": "lvm"},
        *("POST", "set_storage_layout", _MACHINE),
        lambda region, machine: bool(shown(region, machine)["volume_groups"]),
        is_stated=False,
    ),
    Change(
        "add",
        AddMachine,
        lambda _, machine: {
            "hostname": f"new{machine.number}",
            "mac_addresses": [new_mac(machine)],
            "power_type": "ipmi",
            "power_parameters": IPMI,
            "zone": "az1",
            "commission": False,
        },
        *("POST", None, "machines/"),
        lambda region, machine: added(region, machine) == [f"new{machine.number}"],
        names_machine=False,
    ),
    Change(
        "delete",
        DeleteMachine,
        lambda *_: {},
        *("DELETE", None, _MACHINE),
        lambda region, machine: machine.system_id not in region.machines,
        is_stated=False,
    ),
)
"""Each tool that changes something, at least once."""
