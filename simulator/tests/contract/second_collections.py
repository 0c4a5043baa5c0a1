"""The collections of the second recorded region: zones, pools, tags, domains, networks and images."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from maas_simulator import SimulatedRegion
from maas_simulator.model.images import ImageFile, ImageResource
from maas_simulator.model.machines import Rack
from maas_simulator.model.records import Tables

Gets = Mapping[str, Any]
"""Recorded collections by their path."""

COLLECTIONS: Final = {
    "Zone": ("zones/", ("id", "name", "description")),
    "ResourcePool": ("resourcepools/", ("id", "name", "description")),
    "Tag": ("tags/", ("name", "comment", "definition", "kernel_opts")),
    "Domain": ("domains/", ("id", "name", "authoritative", "ttl")),
    "Space": ("spaces/", ("id", "name", "description")),
    "Fabric": ("fabrics/", ("id", "name", "class_type")),
}
"""The collections without references: their path and the stored fields."""

_VLAN: Final = ("id", "vid", "mtu", "name", "dhcp_on", "primary_rack", "secondary_rack", "relay_vlan")
_NOT_OF_SUBNET: Final = ("vlan", "space", "resource_uri")


def load_collections(region: SimulatedRegion, gets: Gets, rack: Mapping[str, str]) -> None:
    """Replace the collections of a region by the recorded ones."""
    region.racks = {rack["system_id"]: Rack(rack["system_id"], rack["hostname"])}
    for kind, (path, names) in COLLECTIONS.items():
        _fill(region.tables, kind, ({name: each[name] for name in names if name in each} for each in gets[path]))
    _load_networks(region.tables, gets)
    region.images.names = list(dict.fromkeys(each["name"] for each in gets["boot-resources/"]))
    region.images.resources = [_image(gets[f"boot-resources/{each['id']}/"]) for each in gets["boot-resources/"]]


def _load_networks(tables: Tables, gets: Gets) -> None:
    for fabric in tables["Fabric"].values():
        fabric["description"] = ""
    spaces = {each["name"]: each["id"] for each in gets["spaces/"] if each["id"] > 0}
    tables["Space"].pop(-1, None)  # ``undefined`` is not stored.
    vlans = (vlan for fabric in gets["fabrics/"] for vlan in fabric["vlans"])
    _fill(
        tables,
        "VLAN",
        (
            {name: vlan[name] for name in _VLAN}
            | {"fabric": vlan["fabric_id"], "space": spaces.get(vlan["space"]), "description": ""}
            for vlan in vlans
        ),
    )
    _fill(tables, "Subnet", ({**_stored(each), "vlan": each["vlan"]["id"]} for each in gets["subnets/"]))
    _fill(
        tables,
        "IPRange",
        (
            {name: each[name] for name in ("id", "type", "start_ip", "end_ip", "comment")}
            | {"subnet": each["subnet"]["id"], "user": each["user"]["username"]}
            for each in gets["ipranges/"]
        ),
    )


def _stored(subnet: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in subnet.items() if name not in _NOT_OF_SUBNET}


def _fill(tables: Tables, kind: str, objects: Iterable[dict[str, Any]]) -> None:
    """Replace a table. Objects without an id are numbered."""
    table = tables.clear_table(kind)
    for each in sorted(objects, key=lambda each: int(each.get("id", 0))):
        table.add(**each)


def _image(seen: dict[str, Any]) -> ImageResource:
    architecture, _, kernel = seen["architecture"].partition("/")
    versions = {
        version: {name: ImageFile(file["size"], complete=file["complete"]) for name, file in each["files"].items()}
        for version, each in seen["sets"].items()
    }
    deployed = datetime.fromisoformat(f"{seen['last_deployed']}+00:00").timestamp() if seen["last_deployed"] else None
    described = {name: seen[name] for name in ("title", "platform", "supported_platforms", "subarches")}
    return ImageResource(seen["id"], seen["name"], architecture, kernel, versions, deployed, described)
