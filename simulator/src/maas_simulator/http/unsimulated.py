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
_CONTROLLER = "GET:details GET:power_parameters GET:query_power_state POST:power_on POST:power_off POST:test POST:abort"

UNSIMULATED: Final[Mapping[str, str]] = {
    "account/": (
        "GET:list_authorisation_tokens POST:create_authorisation_token POST:delete_authorisation_token "
        "POST:update_token_name"
    ),
    "account/prefs/sshkeys/": f"{_LISTED} POST:import",
    "account/prefs/sshkeys/{id}/": "GET DELETE",
    "account/prefs/sslkeys/": _LISTED,
    "account/prefs/sslkeys/{id}/": "GET DELETE",
    "boot-resources/": "POST",
    "boot-resources/{id}/": "DELETE",
    "boot-sources/": _LISTED,
    "boot-sources/{id}/": _WHOLE,
    "boot-sources/{boot_source_id}/selections/": _LISTED,
    "boot-sources/{boot_source_id}/selections/{id}/": _WHOLE,
    "commissioning-scripts/": _LISTED,
    "commissioning-scripts/{name}": _WHOLE,
    "devices/": "POST GET:is_registered POST:set_zone",
    "devices/{system_id}/": f"{_EDITED} GET:details GET:power_parameters POST:set_workload_annotations",
    "dhcp-snippets/": "POST",
    "dhcp-snippets/{id}/": f"{_WHOLE} POST:revert",
    "discovery/": (
        "POST:scan POST:clear POST:clear_by_mac_and_ip GET:by_unknown_ip GET:by_unknown_ip_and_mac GET:by_unknown_mac"
    ),
    "discovery/{discovery_id}/": "GET",
    "dnsresourcerecords/": _LISTED,
    "dnsresourcerecords/{id}/": _WHOLE,
    "dnsresources/": _LISTED,
    "dnsresources/{id}/": _WHOLE,
    "domains/": "POST:set_serial",
    "domains/{id}/": "POST:set_default",
    "fabrics/{fabric_id}/vlans/": "POST",
    "fabrics/{fabric_id}/vlans/{vid}/": _WHOLE,
    "files/": "POST DELETE GET:get GET:get_by_key",
    "files/{filename}/": "GET DELETE",
    "installation-results/": "GET",
    "ipaddresses/": "POST:reserve POST:release",
    "license-key/{osystem}/{distro_series}": _WHOLE,
    "license-keys/": _LISTED,
    "maas/": "POST:set_config",
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
    "nodes/{system_id}/results/{id}/": _EDITED,
    "nodes/{system_id}/vmfs-datastore/{id}/": _WHOLE,
    "nodes/{system_id}/vmfs-datastores/": _LISTED,
    "nodes/{system_id}/volume-group/{id}/": (f"{_WHOLE} POST:create_logical_volume POST:delete_logical_volume"),
    "nodes/{system_id}/volume-groups/": _LISTED,
    "notifications/": _LISTED,
    "notifications/{id}/": f"{_WHOLE} POST:dismiss",
    "package-repositories/": _LISTED,
    "package-repositories/{id}/": _WHOLE,
    "pods/": _LISTED,
    "pods/{id}/": f"{_WHOLE} GET:parameters POST:refresh POST:compose POST:add_tag POST:remove_tag",
    "rackcontrollers/": (
        "GET GET:describe_power_types GET:is_registered GET:power_parameters POST:import_boot_images POST:set_zone"
    ),
    "rackcontrollers/{system_id}/": (
        f"{_WHOLE} {_CONTROLLER} GET:list_boot_images POST:import_boot_images POST:override_failed_testing"
    ),
    "regioncontrollers/": "GET GET:is_registered POST:set_zone",
    "regioncontrollers/{system_id}/": f"{_WHOLE} GET:details",
    "reservedips/": _LISTED,
    "reservedips/{id}/": _WHOLE,
    "scripts/": _LISTED,
    "scripts/{name}": f"{_WHOLE} GET:download POST:revert POST:add_tag POST:remove_tag",
    "static-routes/": "POST",
    "static-routes/{id}/": _WHOLE,
    "subnets/{id}/": "GET:ip_addresses GET:reserved_ip_ranges GET:unreserved_ip_ranges",
    "tags/{name}/": (
        "GET:nodes GET:devices GET:rack_controllers GET:region_controllers POST:rebuild POST:update_nodes"
    ),
    "users/": "POST",
    "users/{username}/": "DELETE",
    "vm-clusters/": "GET",
    "vm-clusters/{id}/": f"{_WHOLE} POST:refresh",
    "vm-hosts/": _LISTED,
    "vm-hosts/{id}/": f"{_WHOLE} GET:parameters POST:refresh POST:compose POST:add_tag POST:remove_tag",
}
"""Unsimulated methods by path relative to the API; ``METHOD:op`` for operations."""


def unsimulated_handlers(path: str) -> Iterator[tuple[tuple[str, str | None], NotSimulated]]:
    """Yield the handlers of the unsimulated methods of a path, by method and op."""
    for method, _, op in (name.partition(":") for name in UNSIMULATED.get(path, "").split()):
        yield (method, op or None), NotSimulated(f"{method} op={op}" if op else method)
