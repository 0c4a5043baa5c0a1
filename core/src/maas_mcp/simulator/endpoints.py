"""Which paths and operations there are, and what answers them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from maas_mcp.simulator import image_routes, machine_routes, region_routes
from maas_mcp.simulator.calls import Answer
from maas_mcp.simulator.machine_routes import POST_OPERATIONS, Handler, missing

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

    pattern: re.Pattern[str]
    handlers: Mapping[tuple[str, str | None], Handler]
    anonymous: bool = False


def _endpoint(
    path: str,
    handlers: Mapping[tuple[str, str | None], Handler],
    *,
    anonymous: bool = False,
) -> Endpoint:
    return Endpoint(re.compile(path.replace("{}", "([^/]+)")), handlers, anonymous)


def _others(method: str, names: str) -> dict[tuple[str, str | None], Handler]:
    return {(method, name): missing(f"{method} op={name}") for name in names.split()}


ENDPOINTS = (
    _endpoint("version/", {("GET", None): lambda _call: Answer(region_routes.VERSION)}),
    _endpoint("users/", {("GET", None): region_routes.users, ("GET", "whoami"): region_routes.whoami}),
    _endpoint(
        "maas/",
        {("GET", "get_config"): region_routes.get_config, ("POST", "set_config"): missing("POST op=set_config")},
    ),
    _endpoint(
        "machines/",
        {
            ("GET", None): machine_routes.listing,
            ("POST", "allocate"): machine_routes.allocate,
            ("POST", "release"): machine_routes.release_many,
            ("POST", None): missing("creating a machine"),
            **_others("GET", "list_allocated power_parameters is_registered"),
            **_others("POST", "accept accept_all add_chassis clone set_zone set_workload_annotations"),
        },
        anonymous=True,
    ),
    _endpoint(
        "machines/{}/",
        {
            ("GET", None): machine_routes.read,
            ("GET", "query_power_state"): machine_routes.query_power_state,
            ("DELETE", None): machine_routes.delete,
            ("PUT", None): missing("changing a machine"),
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
    _endpoint("nodes/", {("GET", None): missing("listing nodes")}, anonymous=True),
    _endpoint("nodes/{}/", {("GET", None): machine_routes.read_node}),
    _endpoint("nodes/{}/results/", {("GET", None): region_routes.results}),
    _endpoint(
        "nodes/{}/results/{}/",
        {("GET", None): region_routes.result, ("GET", "download"): missing("GET op=download")},
    ),
    _endpoint("events/", {("GET", "query"): region_routes.events}),
    _endpoint("zones/", {("GET", None): region_routes.zones, ("POST", None): missing("making zones")}),
    _endpoint("resourcepools/", {("GET", None): region_routes.pools, ("POST", None): missing("making pools")}),
    _endpoint("tags/", {("GET", None): region_routes.tags, ("POST", None): region_routes.tags}),
    _endpoint("subnets/", {("GET", None): region_routes.subnets, ("POST", None): missing("making subnets")}),
    _endpoint(
        "boot-resources/",
        {
            ("GET", None): image_routes.listing,
            ("GET", "is_importing"): image_routes.is_importing,
            ("POST", "import"): image_routes.start_import,
            ("POST", "stop_import"): image_routes.stop_import,
            ("POST", None): missing("uploading an image"),
        },
    ),
    _endpoint(
        "boot-resources/{}/", {("GET", None): image_routes.reading, ("DELETE", None): missing("deleting an image")}
    ),
    *(_endpoint(f"{name}/", {("GET", None): missing(name)}) for name in UNSIMULATED),
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
