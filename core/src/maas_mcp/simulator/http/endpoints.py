"""Which paths and operations there are, and what answers them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from maas_mcp.simulator.http import (
    collection_routes,
    image_routes,
    machine_edits,
    machine_routes,
    network_routes,
    region_routes,
    result_routes,
)
from maas_mcp.simulator.http.machine_routes import POST_OPERATIONS, Handler, Missing

PREFIX = "/MAAS/api/2.0/"
UNSIMULATED = (
    "account/prefs/sshkeys",
    "dnsresources",
    "fabrics",
    "installation-results",
    "ipranges",
    "notifications",
    "rackcontrollers",
    "regioncontrollers",
    "reservedips",
    "scripts",
    "vm-hosts",
)
"""Collections that MAAS has and the simulator has not: 501, where an unknown path is 404."""

EMPTY = ("devices", "dhcp-snippets", "discovery", "files", "ipaddresses", "static-routes")
"""Collections that hold nothing, as in a new region; nothing can be put into them."""


@dataclass(frozen=True)
class Endpoint:
    """A path and what it answers, by method and op. ``anonymous``: without credentials it is a 400 and not a 401."""

    name: str
    """What the description of the API calls it."""
    path: str
    """Inside ``/MAAS/api/2.0/``; variable parts are in braces."""
    handlers: Mapping[tuple[str, str | None], Handler]
    anonymous: bool = False

    @property
    def params(self) -> tuple[str, ...]:
        """The names of the variable parts, in order."""
        return tuple(_VARIABLE.findall(self.path))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What a path of this endpoint looks like, with a group for every variable part."""
        return re.compile(_VARIABLE.sub("([^/]+)", self.path))


_VARIABLE = re.compile(r"\{(\w+)\}")


def _others(method: str, names: str) -> dict[tuple[str, str | None], Handler]:
    return {(method, name): Missing(f"{method} op={name}") for name in names.split()}


ENDPOINTS = (
    Endpoint("Version", "version/", {("GET", None): region_routes.version}),
    Endpoint("Users", "users/", {("GET", None): collection_routes.users, ("GET", "whoami"): collection_routes.whoami}),
    Endpoint(
        "Maas",
        "maas/",
        {("GET", "get_config"): region_routes.get_config, ("POST", "set_config"): Missing("POST op=set_config")},
    ),
    Endpoint(
        "Machines",
        "machines/",
        {
            ("GET", None): machine_routes.listing,
            ("POST", "allocate"): machine_routes.allocate,
            ("POST", "release"): machine_routes.release_many,
            ("POST", None): machine_edits.create,
            ("GET", "list_allocated"): machine_routes.list_allocated,
            ("GET", "power_parameters"): machine_routes.all_power_parameters,
            ("POST", "set_zone"): machine_edits.set_zone,
            ("POST", "clone"): machine_edits.clone,
            **_others("GET", "is_registered"),
            **_others("POST", "accept accept_all add_chassis"),
        },
        anonymous=True,
    ),
    Endpoint(
        "Machine",
        "machines/{system_id}/",
        {
            ("GET", None): machine_routes.read,
            ("GET", "query_power_state"): machine_routes.query_power_state,
            ("DELETE", None): machine_routes.delete,
            ("PUT", None): machine_edits.update,
            ("GET", "power_parameters"): machine_routes.power_parameters,
            ("POST", "set_workload_annotations"): machine_edits.set_workload_annotations,
            ("POST", "power_off"): machine_routes.power_off,
            **{("POST", name): operation for name, operation in POST_OPERATIONS.items()},
            **_others("GET", "details get_token get_curtin_config"),
            **_others(
                "POST",
                "restore_default_configuration restore_networking_configuration restore_storage_configuration "
                "set_storage_layout clear_default_gateways mount_special unmount_special",
            ),
        },
    ),
    Endpoint("Nodes", "nodes/", {("GET", None): Missing("listing nodes")}, anonymous=True),
    Endpoint("Node", "nodes/{system_id}/", {("GET", None): machine_routes.read_node}),
    Endpoint("Interfaces", "nodes/{system_id}/interfaces/", {("GET", None): machine_routes.interfaces}),
    Endpoint("BlockDevices", "nodes/{system_id}/blockdevices/", {("GET", None): machine_routes.blockdevices}),
    Endpoint("NodeScriptResults", "nodes/{system_id}/results/", {("GET", None): result_routes.results}),
    Endpoint(
        "NodeScriptResult",
        "nodes/{system_id}/results/{id}/",
        {("GET", None): result_routes.result, ("GET", "download"): result_routes.download},
    ),
    Endpoint("Events", "events/", {("GET", "query"): region_routes.events}),
    Endpoint("Zones", "zones/", {("GET", None): collection_routes.zones, ("POST", None): Missing("making zones")}),
    Endpoint(
        "ResourcePools",
        "resourcepools/",
        {("GET", None): collection_routes.pools, ("POST", None): Missing("making pools")},
    ),
    Endpoint("ResourcePool", "resourcepool/{id}/", {("GET", None): collection_routes.pool}),
    Endpoint("Tags", "tags/", {("GET", None): collection_routes.tags, ("POST", None): collection_routes.make_tag}),
    Endpoint(
        "Tag", "tags/{name}/", {("GET", None): collection_routes.tag, ("GET", "machines"): collection_routes.tagged}
    ),
    Endpoint(
        "Domains", "domains/", {("GET", None): collection_routes.domains, ("POST", None): Missing("making domains")}
    ),
    Endpoint("Device", "devices/{system_id}/", {("GET", None): collection_routes.no_device}),
    Endpoint("Subnets", "subnets/", {("GET", None): network_routes.subnets, ("POST", None): Missing("making subnets")}),
    Endpoint(
        "Subnet",
        "subnets/{id}/",
        {
            ("GET", None): network_routes.subnet,
            ("GET", "statistics"): network_routes.statistics,
            **_others("GET", "ip_addresses reserved_ip_ranges unreserved_ip_ranges"),
        },
    ),
    Endpoint("Vlans", "fabrics/{fabric_id}/vlans/", {("GET", None): network_routes.fabric_vlans}),
    Endpoint("Spaces", "spaces/", {("GET", None): network_routes.spaces, ("POST", None): Missing("making spaces")}),
    Endpoint("Networks", "networks/", {("GET", None): network_routes.networks}),
    Endpoint(
        "BootResources",
        "boot-resources/",
        {
            ("GET", None): image_routes.listing,
            ("GET", "is_importing"): image_routes.is_importing,
            ("POST", "import"): image_routes.start_import,
            ("POST", "stop_import"): image_routes.stop_import,
            ("POST", None): Missing("uploading an image"),
        },
    ),
    Endpoint(
        "BootResource",
        "boot-resources/{id}/",
        {("GET", None): image_routes.reading, ("DELETE", None): Missing("deleting an image")},
    ),
    *(Endpoint(name, f"{name}/", {("GET", None): Missing(name)}) for name in UNSIMULATED),
    *(
        Endpoint(name, f"{name}/", {("GET", None): collection_routes.none, ("POST", None): Missing(name)})
        for name in EMPTY
    ),
)


def find(path: str) -> tuple[Endpoint | None, tuple[str, ...], str | None]:
    """The endpoint of a path, its variable parts, and its op if it ends in ``op-NAME`` (no slash after it)."""
    inside = path.removeprefix(PREFIX) if path.startswith(PREFIX) else ""
    rest, _, op = inside.rpartition("op-")
    named = bool(op) and "/" not in op and rest.endswith("/")
    for endpoint in ENDPOINTS:
        match = endpoint.pattern.fullmatch(rest if named else inside)
        if match is not None:
            return endpoint, match.groups(), op if named else None
    return None, (), None
