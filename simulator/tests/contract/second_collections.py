"""The collections of the second recorded region: zones, pools, tags, networks and images."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from maas_simulator import SimulatedRegion
from maas_simulator.model.images import ImageFile, ImageResource
from maas_simulator.model.machines import Rack
from maas_simulator.model.networks import Subnet, Vlan

Gets = Mapping[str, Any]
"""Recorded collections by their path."""


def load_collections(region: SimulatedRegion, gets: Gets, rack: Mapping[str, str]) -> None:
    """Replace the collections of a region by the recorded ones."""
    region.racks = {rack["system_id"]: Rack(rack["system_id"], rack["hostname"])}
    region.zones = {each["name"]: each["description"] for each in _by_id(gets["zones/"])}
    region.pools = {each["name"]: each["description"] for each in _by_id(gets["resourcepools/"])}
    region.tags = {each["name"]: each["comment"] for each in gets["tags/"]}
    region.subnets = tuple(_subnet(each) for each in gets["subnets/"])
    region.images.names = list(dict.fromkeys(each["name"] for each in gets["boot-resources/"]))
    region.images.resources = [_image(gets[f"boot-resources/{each['id']}/"]) for each in gets["boot-resources/"]]


def boot_subnet(region: SimulatedRegion) -> Subnet:
    """The subnet from which the machines boot."""
    return region.subnets[0]


def _by_id(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(objects, key=lambda each: int(each["id"]))


def _subnet(seen: dict[str, Any]) -> Subnet:
    network, _, prefix = seen["cidr"].partition("/")
    vlan = Vlan(*(seen["vlan"][name] for name in ("id", "fabric_id", "fabric", "name", "vid", "primary_rack")))
    return Subnet(seen["id"], seen["name"], network.rpartition(".")[0], vlan, seen["gateway_ip"], int(prefix))


def _image(seen: dict[str, Any]) -> ImageResource:
    architecture, _, kernel = seen["architecture"].partition("/")
    versions = {
        version: {name: ImageFile(file["size"], complete=file["complete"]) for name, file in each["files"].items()}
        for version, each in seen["sets"].items()
    }
    deployed = datetime.fromisoformat(f"{seen['last_deployed']}+00:00").timestamp() if seen["last_deployed"] else None
    return ImageResource(seen["id"], seen["name"], architecture, kernel, versions, deployed)
