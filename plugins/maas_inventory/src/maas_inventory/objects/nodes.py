"""Nodes that are not machines: rack and region controllers with their services, VM hosts, and devices."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from maas_inventory.objects.kind import Kind
from maas_inventory.objects.row import UNREADABLE, UNSET, Amount, ObjectRow, Whole, each, taken_from
from maas_inventory.values import JSON
from maas_mcp.api import MachineText

RUNNING: Final = "running"


def _services(controller: Mapping[str, JSON]) -> JSON:
    """Describe the services by status, and each that has a message. One that cannot be read is no text."""
    services = controller.get("service_set")
    if not isinstance(services, list):
        return UNREADABLE
    by_status: defaultdict[str, list[str]] = defaultdict(list)
    odd = []
    for service in services:
        name, status = (service.get("name"), service.get("status")) if isinstance(service, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(status, str):
            odd.append(UNREADABLE)
            continue
        info = service.get("status_info")
        by_status[status].append(f"{name} ({info})" if info and isinstance(info, str) else name)
    return [*odd, *(f"{status}: {', '.join(names)}" for status, names in sorted(by_status.items(), key=_by_trouble))]


def _by_trouble(services: tuple[str, list[str]]) -> tuple[bool, str]:
    return services[0] == RUNNING, services[0]


class RegionController(ObjectRow):
    """A region controller. MAAS 3.7 does not show its services."""

    identity = "system_id"
    label = "hostname"
    sources = taken_from(zone=("zone", "name"), type=("node_type_name",))

    system_id: MachineText
    hostname: MachineText = UNSET
    type: MachineText = UNSET
    version: MachineText = UNSET
    zone: MachineText = UNSET
    ip_addresses: list[MachineText] = UNSET


class RackController(RegionController):
    """A rack controller, with its services by status: those that run come last."""

    sources = taken_from(zone=("zone", "name"), type=("node_type_name",), services=_services)

    services: list[MachineText] = UNSET


class VmHost(ObjectRow):
    """A VM host, with its resources. Memory is in megabytes."""

    sources = taken_from(
        zone=("zone", "name"),
        pool=("pool", "name"),
        host=("host", "system_id"),
        cores=("total", "cores"),
        cores_used=("used", "cores"),
        memory=("total", "memory"),
        memory_used=("used", "memory"),
    )

    id: Whole
    name: MachineText = UNSET
    type: MachineText = UNSET
    host: MachineText | None = None
    zone: MachineText = UNSET
    pool: MachineText = UNSET
    architectures: list[MachineText] = UNSET
    tags: list[MachineText] = UNSET
    cores: Whole = UNSET
    cores_used: Whole = UNSET
    memory: Whole = UNSET
    memory_used: Whole = UNSET
    cpu_over_commit_ratio: Amount | None = None
    memory_over_commit_ratio: Amount | None = None


class Device(ObjectRow):
    """A device: a node that MAAS gives addresses, but does not manage."""

    identity = "system_id"
    label = "hostname"
    sources = taken_from(
        zone=("zone", "name"),
        domain=("domain", "name"),
        mac_addresses=each("interface_set", "mac_address"),
    )

    system_id: MachineText
    hostname: MachineText = UNSET
    fqdn: MachineText = UNSET
    owner: MachineText | None = None
    parent: MachineText | None = None
    zone: MachineText = UNSET
    domain: MachineText = UNSET
    ip_addresses: list[MachineText] = UNSET
    mac_addresses: list[MachineText] = UNSET
    tag_names: list[MachineText] = UNSET
    description: MachineText = UNSET


NODES: Final = (
    Kind(name="rack_controller", noun="rack controller", row=RackController, path="rackcontrollers/", hidden=True),
    Kind(
        name="region_controller", noun="region controller", row=RegionController, path="regioncontrollers/", hidden=True
    ),
    Kind(name="vm_host", noun="VM host", row=VmHost, path="vm-hosts/"),
    Kind(name="device", noun="device", row=Device, path="devices/"),
)
"""The kinds of nodes."""
