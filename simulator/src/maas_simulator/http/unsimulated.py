"""Paths, methods and operations of MAAS 3.7 that are not simulated and return 501."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from maas_simulator.http.calls import Answer, Call
from maas_simulator.model.refusals import not_simulated


@dataclass(frozen=True)
class NotSimulated:
    """The handler of a path or operation of MAAS that is not simulated: 501, whereas an unknown path is a 404."""

    what: str

    def __call__(self, call: Call) -> Answer:
        """Raise the 501."""
        raise not_simulated(f"{self.what} on {call.path}")


OUTSIDE_THE_API: Final[Mapping[str, str]] = {
    "/MAAS/accounts/": "sessions of MAAS's web interface",
    "/MAAS/a/": "API v3",
    "/MAAS/metadata/": "the API for machines",
    "/MAAS/r/": "MAAS's web interface",
    "/MAAS/ws": "the websocket of MAAS's web interface",
}
"""Other paths at MAAS's port that are not simulated, by prefix."""

_EDITED, _WHOLE, _LISTED = "PUT DELETE", "GET PUT DELETE", "GET POST"
_DISK = "POST:format POST:unformat POST:mount POST:unmount POST:add_tag POST:remove_tag"
_CONTROLLER = (
    "GET:details GET:query_power_state POST:power_on POST:power_off POST:test POST:abort POST:override_failed_testing"
)

UNSIMULATED: Final[Mapping[str, str]] = {
    "devices/{system_id}/": "GET:details POST:restore_default_configuration POST:restore_networking_configuration",
    "discovery/": "POST:scan POST:clear POST:clear_by_mac_and_ip",
    "dnsresourcerecords/": _LISTED,
    "dnsresourcerecords/{id}/": _WHOLE,
    "dnsresources/": _LISTED,
    "dnsresources/{id}/": _WHOLE,
    "domains/": "POST:set_serial",
    "domains/{id}/": "POST:set_default",
    "fabrics/{fabric_id}/vlans/": "POST",
    "fabrics/{fabric_id}/vlans/{vid}/": _WHOLE,
    "files/": "POST DELETE GET:get GET:get_by_key",
    "ipaddresses/": "POST:reserve POST:release",
    "machines/": "GET:is_registered POST:accept POST:accept_all POST:add_chassis",
    "machines/{system_id}/": (
        "GET:details GET:get_token GET:get_curtin_config POST:restore_default_configuration "
        "POST:restore_networking_configuration POST:restore_storage_configuration POST:set_storage_layout "
        "POST:clear_default_gateways POST:mount_special POST:unmount_special POST:set_owner_data"
    ),
    "networks/": "POST",
    "networks/{name}/": (f"{_EDITED} POST:connect_macs POST:disconnect_macs GET:list_connected_macs "),
    "nodes/": "GET GET:is_registered POST:set_zone",
    "nodes/{system_id}/": "DELETE GET:details GET:power_parameters",
    "nodes/{system_id}/bcache-cache-set/{id}/": _WHOLE,
    "nodes/{system_id}/bcache-cache-sets/": _LISTED,
    "nodes/{system_id}/bcache/{id}/": _WHOLE,
    "nodes/{system_id}/bcaches/": _LISTED,
    "nodes/{system_id}/blockdevices/": "POST",
    "nodes/{system_id}/blockdevices/{id}/": f"{_EDITED} {_DISK} POST:set_boot_disk",
    "nodes/{system_id}/blockdevices/{device_id}/partition/{id}": f"GET DELETE {_DISK}",
    "nodes/{system_id}/blockdevices/{device_id}/partitions/": _LISTED,
    "nodes/{system_id}/devices/": "GET",
    "nodes/{system_id}/devices/{device_id}/": "GET DELETE",
    "nodes/{system_id}/interfaces/": "POST:create_bond POST:create_bridge POST:create_physical POST:create_vlan",
    "nodes/{system_id}/interfaces/{id}/": (
        f"{_EDITED} POST:add_tag POST:remove_tag POST:disconnect POST:link_subnet POST:unlink_subnet "
        "POST:set_default_gateway"
    ),
    "nodes/{system_id}/raid/{id}/": _WHOLE,
    "nodes/{system_id}/raids/": _LISTED,
    "nodes/{system_id}/vmfs-datastore/{id}/": _WHOLE,
    "nodes/{system_id}/vmfs-datastores/": _LISTED,
    "nodes/{system_id}/volume-group/{id}/": (f"{_WHOLE} POST:create_logical_volume POST:delete_logical_volume"),
    "nodes/{system_id}/volume-groups/": _LISTED,
    "rackcontrollers/": "POST:import_boot_images POST:set_zone",
    "rackcontrollers/{system_id}/": f"{_CONTROLLER} GET:list_boot_images POST:import_boot_images",
    "regioncontrollers/": "POST:set_zone",
    "regioncontrollers/{system_id}/": "DELETE GET:details",
    "reservedips/": _LISTED,
    "reservedips/{id}/": _WHOLE,
    "static-routes/": "POST",
    "static-routes/{id}/": _WHOLE,
    "subnets/{id}/": "GET:ip_addresses GET:reserved_ip_ranges GET:unreserved_ip_ranges",
}
"""Unsimulated methods by path relative to the API; ``METHOD:op`` for operations."""


def unsimulated_handlers(path: str) -> Iterator[tuple[tuple[str, str | None], NotSimulated]]:
    """Yield the handlers of the unsimulated methods of a path, by method and op."""
    for method, _, op in (name.partition(":") for name in UNSIMULATED.get(path, "").split()):
        yield (method, op or None), NotSimulated(f"{method} op={op}" if op else method)
