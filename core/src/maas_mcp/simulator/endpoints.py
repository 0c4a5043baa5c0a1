"""Which paths and operations there are, and what answers them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from maas_mcp.simulator import image_routes, machine_routes, region_routes
from maas_mcp.simulator.machine_routes import POST_OPERATIONS, Handler, Missing

PREFIX = "/MAAS/api/2.0/"
UNSIMULATED = (
    "account/prefs/sshkeys",
    "devices",
    "dhcp-snippets",
    "discovery",
    "dnsresources",
    "domains",
    "fabrics",
    "ipaddresses",
    "ipranges",
    "notifications",
    "rackcontrollers",
    "regioncontrollers",
    "reservedips",
    "scripts",
    "spaces",
    "static-routes",
    "vm-hosts",
)
"""Collections that MAAS has and the simulator has not: 501, where an unknown path is 404."""


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
    Endpoint("Users", "users/", {("GET", None): region_routes.users, ("GET", "whoami"): region_routes.whoami}),
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
            ("POST", None): Missing("creating a machine"),
            **_others("GET", "list_allocated power_parameters is_registered"),
            **_others("POST", "accept accept_all add_chassis clone set_zone set_workload_annotations"),
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
            ("PUT", None): Missing("changing a machine"),
            ("POST", "power_off"): machine_routes.power_off,
            **{("POST", name): operation for name, operation in POST_OPERATIONS.items()},
            **_others("GET", "details power_parameters get_token get_curtin_config"),
            **_others(
                "POST",
                "restore_default_configuration restore_networking_configuration restore_storage_configuration "
                "set_storage_layout set_workload_annotations clear_default_gateways mount_special unmount_special",
            ),
        },
    ),
    Endpoint("Nodes", "nodes/", {("GET", None): Missing("listing nodes")}, anonymous=True),
    Endpoint("Node", "nodes/{system_id}/", {("GET", None): machine_routes.read_node}),
    Endpoint("NodeScriptResults", "nodes/{system_id}/results/", {("GET", None): region_routes.results}),
    Endpoint(
        "NodeScriptResult",
        "nodes/{system_id}/results/{id}/",
        {("GET", None): region_routes.result, ("GET", "download"): Missing("GET op=download")},
    ),
    Endpoint("Events", "events/", {("GET", "query"): region_routes.events}),
    Endpoint("Zones", "zones/", {("GET", None): region_routes.zones, ("POST", None): Missing("making zones")}),
    Endpoint(
        "ResourcePools", "resourcepools/", {("GET", None): region_routes.pools, ("POST", None): Missing("making pools")}
    ),
    Endpoint("Tags", "tags/", {("GET", None): region_routes.tags, ("POST", None): Missing("making tags", admin=True)}),
    Endpoint("Subnets", "subnets/", {("GET", None): region_routes.subnets, ("POST", None): Missing("making subnets")}),
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
