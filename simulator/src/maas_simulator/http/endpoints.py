"""The paths and operations of the API, with their handlers."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

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
    storage_resources,
)
from maas_simulator.http.calls import Endpoint, Handler, route
from maas_simulator.http.empty_collections import EMPTY
from maas_simulator.http.machine_routes import Operation
from maas_simulator.http.unsimulated import ONLY_CHECKED, UNSIMULATED, unsimulated_handlers
from maas_simulator.operations.rules import RULES

PREFIX = "/MAAS/api/2.0/"

RESOURCES = (
    organisation_resources.ZONES,
    organisation_resources.POOLS,
    organisation_resources.TAGS,
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
    region_resources.LICENSE_KEYS,
    script_resources.SCRIPTS,
    script_resources.COMMISSIONING_SCRIPTS,
)
"""The collections of records."""

_ANY_NODE: Final[Mapping[str, Handler]] = {
    "GET": machine_routes.read,
    "GET_power_parameters": machine_routes.power_parameters,
    "DELETE": machine_routes.delete,
}
"""The handlers of a machine, also under its older path as a node."""

SIMULATED = (
    *region_routes.ENDPOINTS,
    *account_routes.ENDPOINTS,
    route(
        "Machines",
        "machines/",
        GET=machine_routes.list_machines,
        POST=machine_edits.create,
        GET_list_allocated=machine_routes.list_allocated,
        GET_power_parameters=machine_routes.all_power_parameters,
        GET_is_registered=node_resources.is_registered,
        POST_allocate=machine_routes.allocate,
        POST_release=machine_routes.release_many,
        POST_set_zone=machine_edits.set_zone,
        POST_clone=machine_edits.clone,
        POST_accept=machine_edits.accept,
        POST_accept_all=machine_edits.accept_all,
    ),
    route(
        "Machine",
        "machines/{system_id}/",
        {
            **{("POST", name): Operation(rule) for name, rule in RULES.items() if name != "power_off"},
            **ONLY_CHECKED,
            **interface_resources.MACHINE_OPERATIONS,
            **storage_resources.MACHINE_OPERATIONS,
        },
        **_ANY_NODE,
        PUT=machine_edits.update,
        GET_query_power_state=machine_routes.query_power_state,
        POST_set_workload_annotations=machine_edits.annotating("workload annotation"),
        POST_set_owner_data=machine_edits.annotating("owner data"),
        POST_power_off=machine_routes.power_off,
    ),
    route(
        "Nodes",
        "nodes/",
        GET=node_resources.list_nodes,
        GET_is_registered=node_resources.is_registered,
        POST_set_zone=machine_edits.set_zone,
    ),
    route("Node", "nodes/{system_id}/", **_ANY_NODE),
    *interface_resources.ENDPOINTS,
    *storage_resources.ENDPOINTS,
    *result_routes.ENDPOINTS,
    *(endpoint for resource in RESOURCES for endpoint in resource.endpoints()),
    address_resources.ADDRESSES,
    *image_routes.ENDPOINTS,
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
        handlers={**unsimulated_handlers(endpoint.path), **endpoint.handlers},
        anonymous=ANONYMOUS.get(endpoint.path, ()),
    )


_KNOWN = frozenset(each.path for each in SIMULATED)
_OTHERS = (Endpoint(path, path, {}) for path in UNSIMULATED if path not in _KNOWN)
ENDPOINTS = tuple(map(_complete, (*SIMULATED, *_OTHERS)))


def find(path: str) -> tuple[Endpoint | None, tuple[str, ...], str | None]:
    """The endpoint of a path, its variable parts, and its op if the path ends in ``op-NAME`` (without a slash)."""
    number, parts, op = _match(path)
    return None if number is None else ENDPOINTS[number], parts, op


@lru_cache(maxsize=256)
def _match(path: str) -> tuple[int | None, tuple[str, ...], str | None]:
    """The number of the endpoint of a path; the rest as in :func:`find`. Clients poll the same few paths."""
    inside = path.removeprefix(PREFIX) if path.startswith(PREFIX) else ""
    rest, _, op = inside.rpartition("op-")
    named = bool(op) and "/" not in op and rest.endswith("/")
    for number, endpoint in enumerate(ENDPOINTS):
        match = endpoint.pattern.fullmatch(rest if named else inside)
        if match is not None:
            return number, match.groups(), op if named else None
    return None, (), None
