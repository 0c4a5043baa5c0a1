"""Paths, methods and operations of MAAS 3.7 that are not simulated and return 501."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from maas_simulator.http.calls import Answer, Call
from maas_simulator.model.fields import REQUIRED
from maas_simulator.model.forms import last
from maas_simulator.model.refusals import conflict, not_simulated, refused_form
from maas_simulator.model.statuses import Status


@dataclass(frozen=True)
class NotSimulated:
    """The handler of a path or operation of MAAS that is not simulated: 501, whereas an unknown path is a 404."""

    what: str

    def __call__(self, call: Call) -> Answer:
        """Raise the 501."""
        raise not_simulated(f"{self.what} on {call.path}")


@dataclass(frozen=True)
class OnlyChecked(NotSimulated):
    """The handler of an operation on a machine of which only the checks are simulated.

    ``message`` is MAAS's 409 for a machine with another status than ``statuses``.
    """

    permission: str
    statuses: Collection[Status] = frozenset(Status)
    message: str = ""
    required: tuple[str, ...] = ()

    def __call__(self, call: Call) -> Answer:
        """Check the permission, the status and the parameters, and raise the 501."""
        machine = call.machine()
        call.check_permission(self.permission, machine)
        if machine.status not in self.statuses:
            raise conflict(self.message)
        if missing := {name: [REQUIRED] for name in self.required if not last(call.form, name)}:
            raise refused_form(missing)
        return super().__call__(call)


_READY: Final = frozenset({Status.READY})
_TESTED: Final = frozenset({Status.READY, Status.FAILED_TESTING})
_FREE: Final = frozenset({Status.READY, Status.ALLOCATED})
_RESTORE: Final = "Machine must be in a ready or failed testing state to restore"
_MOUNT: Final = "the filesystem because the machine is not Ready or Allocated."
_LAYOUT: Final = "Cannot change the storage layout on a machine that is not Ready."
_CHECKS: Final[Mapping[tuple[str, str], tuple[Any, ...]]] = {
    ("GET", "details"): ("view",),
    ("GET", "get_token"): ("admin",),
    ("GET", "get_curtin_config"): ("admin",),
    ("POST", "mount_special"): ("edit", _FREE, f"Cannot mount {_MOUNT}", ("fstype", "mount_point")),
    ("POST", "unmount_special"): ("edit", _FREE, f"Cannot unmount {_MOUNT}", ("mount_point",)),
    ("POST", "set_storage_layout"): ("admin", _READY, _LAYOUT, ("storage_layout",)),
    ("POST", "restore_default_configuration"): (
        *("admin", _TESTED, f"{_RESTORE} default networking and storage configuration."),
    ),
    ("POST", "restore_storage_configuration"): ("admin", _TESTED, f"{_RESTORE} storage configuration."),
}
ONLY_CHECKED: Final[Mapping[tuple[str, str | None], OnlyChecked]] = {
    (method, op): OnlyChecked(f"{method} op={op}", *checks) for (method, op), checks in _CHECKS.items()
}
"""The operations on one machine of which only the checks are simulated."""

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
    "files/": "POST DELETE GET:get GET:get_by_key",
    "license-key/{osystem}/{distro_series}": _WHOLE,
    "license-keys/": _LISTED,
    "maas/": "POST:set_config",
    "machines/": "POST:add_chassis",
    "networks/": "POST",
    "networks/{name}/": (f"{_EDITED} POST:connect_macs POST:disconnect_macs GET:list_connected_macs "),
    "nodes/{system_id}/": "GET:details",
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
}
"""Unsimulated methods by path relative to the API; ``METHOD:op`` for operations."""


def unsimulated_handlers(path: str) -> Iterator[tuple[tuple[str, str | None], NotSimulated]]:
    """Yield the handlers of the unsimulated methods of a path, by method and op."""
    for method, _, op in (name.partition(":") for name in UNSIMULATED.get(path, "").split()):
        yield (method, op or None), NotSimulated(f"{method} op={op}" if op else method)
