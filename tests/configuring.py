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

PASSWORD: Final = "correct-horse-battery"  # a secret of the tests
MAC: Final = "52:54:00:ee:00:01"
IPMI: Final = {"power_address": "10.20.0.77", "power_user": "maas", "power_pass": PASSWORD}


@dataclass(frozen=True, eq=False)
class Change:
    """A call that changes MAAS, on a machine of the demo region if it names one."""

    label: str
    tool: type[Tool[Any, Any]]
    arguments: Mapping[str, Any]
    method: str
    op: str | None
    path: str
    """The beginning of the path of the request that makes the change."""
    happened: Callable[[SimulatedRegion], bool]
    machine: str = ""
    """The hostname; empty if the call names no machine, or several."""
    is_stated: bool = True
    """Whether MAAS shows the change, so that a second call sends nothing."""
    proves: bool = True
    """Whether MAAS shows it after a lost answer."""

    def arguments_for(self, region: SimulatedRegion) -> dict[str, Any]:
        return {**({"system_id": region.machine(self.machine).system_id} if self.machine else {}), **self.arguments}

    def requests(self, region: SimulatedRegion) -> int:
        """How often the region has received the request, whatever its effect."""
        kind = (self.method, self.op)
        return len(
            [each for each in list(region.requests) if (each.method, each.op) == kind and self.path in each.path]
        )

    def __str__(self) -> str:
        return self.label


def shown(region: SimulatedRegion, name: str) -> dict[str, Any]:
    """A machine as MAAS shows it."""
    with region.lock:
        found: dict[str, Any] = machine_json(region, region.machine(name))
        return found


def interfaces(region: SimulatedRegion, name: str) -> dict[str, Any]:
    """The interfaces of a machine by name, as MAAS shows them."""
    return {each["name"]: each for each in shown(region, name)["interface_set"]}


def links(region: SimulatedRegion, name: str) -> list[tuple[str, str | None]]:
    """The links of a machine's only interface: mode and address."""
    return [(each["mode"], each.get("ip_address")) for each in interfaces(region, name)["eno1"]["links"]]


def added(region: SimulatedRegion) -> list[SimulatedMachine]:
    """The machines with the new MAC address."""
    with region.lock:
        return [each for each in region.machines.values() if MAC in each.mac_addresses]


def _bond(region: SimulatedRegion) -> bool:
    nic = interfaces(region, "node01").get("bond0")
    return nic is not None and (nic["type"], nic["parents"], nic["params"]["bond_mode"]) == (
        "bond",
        ["eno1"],
        "802.3ad",
    )


CHANGES: Final = (
    Change(
        "update",
        Update,
        {"zone": "az2", "pool": "storage", "description": "rack 4"},
        *("PUT", None, "machines/7xneda/"),
        lambda region: [region.machine("node01").zone, region.machine("node01").description] == ["az2", "rack 4"],
        "node01",
    ),
    Change(
        "tag",
        Tag,
        {"tag": "gpu", "add": ["7xneda", "ndn36c"], "remove": ["fyc3ff"]},
        *("POST", "update_nodes", "tags/gpu/"),
        lambda region: ["gpu" in region.machine(f"node0{n}").tag_names for n in (1, 2, 3)] == [True, False, True],
    ),
    Change(
        "create a tag",
        Tag,
        {"tag": "rack-4", "add": ["7xneda"], "create": True},
        *("POST", None, "tags/"),
        lambda region: region.tables["Tag"].named("rack-4") is not None,
    ),
    Change(
        "power type",
        SetPowerParameters,
        {"power_type": "redfish", "power_parameters": IPMI},
        *("PUT", None, "machines/7xneda/"),
        lambda region: region.machine("node01").power_type == "redfish",
        "node01",
        is_stated=False,
    ),
    Change(
        "power parameters",
        SetPowerParameters,
        {"power_type": "ipmi", "power_parameters": IPMI},
        *("PUT", None, "machines/7xneda/"),
        lambda region: (region.machine("node01").power_parameters or {}).get("power_pass") == PASSWORD,
        "node01",
        is_stated=False,
        proves=False,
    ),
    Change(
        "bond",
        CreateInterface,
        {"type": "bond", "parents": ["eno1"], "name": "bond0", "bond_mode": "802.3ad", "mtu": 9000},
        *("POST", "create_bond", "nodes/7xneda/interfaces/"),
        _bond,
        "node01",
    ),
    Change(
        "VLAN interface",
        CreateInterface,
        {"type": "vlan", "parents": ["eno1"], "vid": 100},
        *("POST", "create_vlan", "nodes/7xneda/interfaces/"),
        lambda region: "eno1.100" in interfaces(region, "node01"),
        "node01",
    ),
    Change(
        "bridge",
        CreateInterface,
        {"type": "bridge", "parents": ["eno1"], "name": "br0"},
        *("POST", "create_bridge", "nodes/7xneda/interfaces/"),
        lambda region: "br0" in interfaces(region, "node01"),
        "node01",
    ),
    Change(
        "delete interface",
        DeleteInterface,
        {"interface": "eno1"},
        *("DELETE", None, "nodes/7xneda/interfaces/"),
        lambda region: not interfaces(region, "node01"),
        "node01",
    ),
    Change(
        "link",
        LinkSubnet,
        {"interface": "eno1", "mode": "static", "subnet": "10.10.0.0/24", "ip_address": "10.10.0.60"},
        *("POST", "link_subnet", "nodes/7xneda/interfaces/"),
        lambda region: ("static", "10.10.0.60") in links(region, "node01"),
        "node01",
    ),
    Change(
        "unlink",
        UnlinkSubnet,
        {"interface": "eno1", "link_id": 10},
        *("POST", "unlink_subnet", "nodes/7xneda/interfaces/"),
        lambda region: links(region, "node01") == [("link_up", None)],
        "node01",
    ),
    Change(
        "storage layout",
        SetStorageLayout,
        {"storage_layout": "lvm"},
        *("POST", "set_storage_layout", "machines/7xneda/"),
        lambda region: bool(shown(region, "node01")["volume_groups"]),
        "node01",
        is_stated=False,
    ),
    Change(
        "add",
        AddMachine,
        {
            "hostname": "new01",
            "mac_addresses": [MAC],
            "power_type": "ipmi",
            "power_parameters": IPMI,
            "zone": "az1",
            "commission": False,
        },
        *("POST", None, "machines/"),
        lambda region: [each.hostname for each in added(region)] == ["new01"],
    ),
    Change(
        "delete",
        DeleteMachine,
        {},
        *("DELETE", None, "machines/7xneda/"),
        lambda region: "7xneda" not in region.machines,
        "node01",
        is_stated=False,
    ),
)
"""Each tool that changes something, at least once, on the demo region."""
