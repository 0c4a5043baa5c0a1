"""Paths, methods and operations of MAAS 3.7 that are not simulated and return 501."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from maas_simulator.http.calls import Answer, Call, Handlers
from maas_simulator.model.refusals import not_simulated


@dataclass(frozen=True)
class NotSimulated:
    """The handler of a path or operation of MAAS that is not simulated: 501, whereas an unknown path is a 404."""

    what: str

    def __call__(self, call: Call) -> Answer:
        """Raise the 501."""
        raise not_simulated(f"{self.what} on {call.path}")


@dataclass(frozen=True)
class OnlyChecked(NotSimulated):
    """The handler of an operation on a machine of which only the permission is checked."""

    permission: str

    def __call__(self, call: Call) -> Answer:
        """Check the permission, and raise the 501."""
        call.check_permission(self.permission, call.machine())
        return super().__call__(call)


ONLY_CHECKED: Final[Mapping[tuple[str, str | None], OnlyChecked]] = {
    ("GET", "details"): OnlyChecked("GET op=details", "view"),
    ("GET", "get_token"): OnlyChecked("get_token", "admin"),
    ("GET", "get_curtin_config"): OnlyChecked("get_curtin_config", "admin"),
}
"""The operations on one machine of which only the permissions are simulated."""

OUTSIDE_THE_API: Final[Mapping[str, str]] = {
    "/MAAS/accounts/": "sessions of MAAS's web interface",
    "/MAAS/a/": "API v3",
    "/MAAS/metadata/": "the API for machines",
    "/MAAS/r/": "MAAS's web interface",
    "/MAAS/ws": "the websocket of MAAS's web interface",
}
"""Other paths at MAAS's port that are not simulated, by prefix."""

_EDITED, _WHOLE = "PUT DELETE", "GET PUT DELETE"
_CONTROLLER = (
    "GET:details GET:query_power_state POST:power_on POST:power_off POST:test POST:abort POST:override_failed_testing"
)

UNSIMULATED: Final[Mapping[str, str]] = {
    "devices/{system_id}/": "GET:details POST:restore_default_configuration POST:restore_networking_configuration",
    "discovery/": "POST:scan POST:clear POST:clear_by_mac_and_ip",
    "files/": "POST DELETE GET:get GET:get_by_key",
    "machines/": "POST:add_chassis",
    "networks/": "POST",
    "networks/{name}/": f"{_EDITED} POST:connect_macs POST:disconnect_macs GET:list_connected_macs",
    "nodes/{system_id}/": "GET:details",
    "nodes/{system_id}/bcache-cache-set/{id}/": _WHOLE,
    "nodes/{system_id}/bcache-cache-sets/": "POST",
    "nodes/{system_id}/bcache/{id}/": _WHOLE,
    "nodes/{system_id}/bcaches/": "POST",
    "nodes/{system_id}/devices/": "GET",
    "nodes/{system_id}/devices/{device_id}/": "GET DELETE",
    "nodes/{system_id}/raid/{id}/": _WHOLE,
    "nodes/{system_id}/raids/": "POST",
    "nodes/{system_id}/vmfs-datastore/{id}/": _WHOLE,
    "nodes/{system_id}/vmfs-datastores/": "POST",
    "nodes/{system_id}/volume-group/{id}/": "PUT",
    "rackcontrollers/": "POST:import_boot_images",
    "rackcontrollers/{system_id}/": f"{_CONTROLLER} GET:list_boot_images POST:import_boot_images",
    "regioncontrollers/{system_id}/": "DELETE GET:details",
}
"""Unsimulated methods by path relative to the API; ``METHOD:op`` for operations."""


def unsimulated_handlers(path: str) -> Handlers:
    """The handlers of the unsimulated methods of a path."""
    keys = (
        (method, op or None) for method, _, op in (name.partition(":") for name in UNSIMULATED.get(path, "").split())
    )
    return {(method, op): NotSimulated(f"{method} op={op}" if op else method) for method, op in keys}
