"""The paths and operations of the API, with their handlers."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from maas_simulator.http import (
    account_routes,
    address_resources,
    dns_resources,
    image_routes,
    interface_resources,
    machine_edits,
    machine_routes,
    network_resources,
    node_resources,
    organisation_resources,
    region_resources,
    region_routes,
    result_routes,
    script_resources,
    storage_layouts,
    storage_resources,
    tag_resources,
)
from maas_simulator.http.calls import Endpoint
from maas_simulator.http.empty_collections import EMPTY
from maas_simulator.http.machine_routes import Operation
from maas_simulator.http.unsimulated import ONLY_CHECKED, UNSIMULATED, unsimulated_handlers
from maas_simulator.operations.rules import RULES

PREFIX = "/MAAS/api/2.0/"

RESOURCES = (
    organisation_resources.ZONES,
    organisation_resources.POOLS,
    tag_resources.TAGS,
    dns_resources.DOMAINS,
    dns_resources.NAMES,
    dns_resources.RECORDS,
    network_resources.FABRICS,
    network_resources.VLANS,
    network_resources.VLANS_OF_FABRIC,
    network_resources.SUBNETS,
    network_resources.SPACES,
    network_resources.NETWORKS,
    address_resources.RANGES,
    address_resources.ROUTES,
    address_resources.RESERVED,
    account_routes.SSH_KEYS,
    account_routes.SSL_KEYS,
    node_resources.DEVICES,
    region_resources.NOTIFICATIONS,
    region_resources.REPOSITORIES,
    region_resources.SNIPPETS,
    region_resources.SOURCES,
    region_resources.SELECTIONS,
    script_resources.SCRIPTS,
)
"""The collections of records."""

SIMULATED = (
    Endpoint("Version", "version/", {("GET", None): region_routes.version}, is_open=True),
    Endpoint(
        "Users",
        "users/",
        {
            ("GET", None): account_routes.users,
            ("GET", "whoami"): account_routes.whoami,
            ("POST", None): account_routes.create_user,
        },
    ),
    Endpoint(
        "User",
        "users/{username}/",
        {("GET", None): account_routes.user, ("DELETE", None): account_routes.delete_user},
    ),
    Endpoint(
        "Account",
        "account/",
        {
            ("GET", "list_authorisation_tokens"): account_routes.list_tokens,
            ("POST", "create_authorisation_token"): account_routes.create_token,
            ("POST", "delete_authorisation_token"): account_routes.delete_token,
            ("POST", "update_token_name"): account_routes.rename_token,
        },
    ),
    Endpoint(
        "Maas",
        "maas/",
        {("GET", "get_config"): region_routes.get_config, ("POST", "set_config"): region_routes.set_config},
    ),
    Endpoint(
        "Machines",
        "machines/",
        {
            ("GET", None): machine_routes.list_machines,
            ("POST", "allocate"): machine_routes.allocate,
            ("POST", "release"): machine_routes.release_many,
            ("POST", None): machine_edits.create,
            ("GET", "list_allocated"): machine_routes.list_allocated,
            ("GET", "power_parameters"): machine_routes.all_power_parameters,
            ("POST", "set_zone"): machine_edits.set_zone,
            ("POST", "clone"): machine_edits.clone,
            ("POST", "accept"): machine_edits.accept,
            ("POST", "accept_all"): machine_edits.accept_all,
            ("GET", "is_registered"): node_resources.is_registered,
        },
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
            ("POST", "set_owner_data"): machine_edits.set_owner_data,
            ("POST", "power_off"): machine_routes.power_off,
            **{("POST", name): Operation(rule) for name, rule in RULES.items() if name != "power_off"},
            **ONLY_CHECKED,
            **interface_resources.MACHINE_OPERATIONS,
            **storage_layouts.MACHINE_OPERATIONS,
        },
    ),
    Endpoint(
        "Nodes",
        "nodes/",
        {
            ("GET", None): node_resources.list_nodes,
            ("GET", "is_registered"): node_resources.is_registered,
            ("POST", "set_zone"): machine_edits.set_zone,
        },
    ),
    Endpoint(
        "Node",
        "nodes/{system_id}/",
        {
            ("GET", None): machine_routes.read,
            ("GET", "power_parameters"): machine_routes.power_parameters,
            ("DELETE", None): machine_routes.delete,
        },
    ),
    *interface_resources.ENDPOINTS,
    *storage_resources.ENDPOINTS,
    Endpoint("NodeScriptResults", "nodes/{system_id}/results/", {("GET", None): result_routes.results}),
    Endpoint(
        "NodeScriptResult",
        "nodes/{system_id}/results/{id}/",
        {
            ("GET", None): result_routes.result,
            ("GET", "download"): result_routes.download,
            ("PUT", None): result_routes.suppress,
            ("DELETE", None): result_routes.delete,
        },
    ),
    Endpoint("CommissioningResults", "commissioning-results/", {("GET", None): result_routes.all_results}),
    Endpoint("InstallationResults", "installation-results/", {("GET", None): result_routes.all_results}),
    Endpoint("Events", "events/", {("GET", "query"): region_routes.events}),
    *(endpoint for resource in RESOURCES for endpoint in resource.endpoints()),
    address_resources.ADDRESSES,
    Endpoint(
        "BootResources",
        "boot-resources/",
        {
            ("GET", None): image_routes.list_images,
            ("GET", "is_importing"): image_routes.is_importing,
            ("POST", "import"): image_routes.start_import,
            ("POST", "stop_import"): image_routes.stop_import,
            ("POST", None): image_routes.upload_image,
        },
    ),
    Endpoint(
        "BootResource",
        "boot-resources/{id}/",
        {("GET", None): image_routes.read_image, ("DELETE", None): image_routes.delete_image},
    ),
    *script_resources.COMMISSIONING_SCRIPTS,
    *region_resources.LICENSE_KEYS,
    *node_resources.CONTROLLERS,
    *EMPTY,
)


_IS_REGISTERED = ("GET", "is_registered")
ANONYMOUS: Mapping[str, Collection[tuple[str, str | None]]] = {
    "machines/": {("POST", None), _IS_REGISTERED},
    **{f"{kind}/": {_IS_REGISTERED} for kind in ("nodes", "devices", "rackcontrollers", "regioncontrollers")},
    "files/": {("GET", "get"), ("GET", "get_by_key")},
}
"""The handlers that MAAS calls without credentials, by path."""


def _complete(endpoint: Endpoint) -> Endpoint:
    """Add the operations of MAAS that are not simulated."""
    return replace(
        endpoint,
        handlers={**dict(unsimulated_handlers(endpoint.path)), **endpoint.handlers},
        anonymous=ANONYMOUS.get(endpoint.path, ()),
    )


ENDPOINTS = tuple(
    map(
        _complete,
        (
            *SIMULATED,
            *(Endpoint(path, path, {}) for path in UNSIMULATED if all(path != each.path for each in SIMULATED)),
        ),
    )
)


def find(path: str) -> tuple[Endpoint | None, tuple[str, ...], str | None]:
    """The endpoint of a path, its variable parts, and its op if the path ends in ``op-NAME`` (without a slash)."""
    inside = path.removeprefix(PREFIX) if path.startswith(PREFIX) else ""
    rest, _, op = inside.rpartition("op-")
    named = bool(op) and "/" not in op and rest.endswith("/")
    for endpoint in ENDPOINTS:
        match = endpoint.pattern.fullmatch(rest if named else inside)
        if match is not None:
            return endpoint, match.groups(), op if named else None
    return None, (), None
