"""The filters of the machine list, and the values that they reject."""

from collections.abc import Callable, Sequence

from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.refusals import invalid, not_simulated
from maas_simulator.model.statuses import Status
from maas_simulator.operations.constraints import check_names, check_tags
from maas_simulator.state import RegionState

Test = Callable[[SimulatedMachine, Sequence[str]], bool]


def _is_in(field: str) -> Test:
    return lambda machine, values: str(getattr(machine, field)) in values


def _has_tags(machine: SimulatedMachine, values: Sequence[str]) -> bool:
    return set(_split(values)) <= set(machine.tag_names)


def _has_architecture(machine: SimulatedMachine, values: Sequence[str]) -> bool:
    return machine.architecture in values or machine.architecture.partition("/")[0] in values


def _split(values: Sequence[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


MAC_COLONS = 5

FILTERS: dict[str, Test] = {
    "id": _is_in("system_id"),
    "hostname": _is_in("hostname"),
    "owner": _is_in("owner"),
    "zone": _is_in("zone"),
    "pool": _is_in("pool"),
    "power_state": _is_in("power_state"),
    "agent_name": _is_in("agent_name"),
    "domain": lambda _machine, values: "maas" in values,
    "status": lambda machine, values: machine.status.name.lower() in [value.lower() for value in values],
    "tags": _has_tags,
    "not_tags": lambda machine, values: not set(_split(values)) & set(machine.tag_names),
    "not_in_zone": lambda machine, values: machine.zone not in values,
    "not_in_pool": lambda machine, values: machine.pool not in values,
    "not_id": lambda machine, values: machine.system_id not in values,
    "arch": _has_architecture,
    "mac_address": lambda machine, values: not set(values).isdisjoint(machine.mac_addresses),
    "cpu_count": lambda machine, values: machine.known and machine.cpu_count >= float(values[-1]),
    "mem": lambda machine, values: machine.known and machine.memory >= float(values[-1]),
}
UNSIMULATED_FILTERS = frozenset(
    [
        "simple_status",
        "not_owner",
        "not_agent_name",
        "not_power_state",
        "not_hostname",
        "not_domain",
        "not_arch",
        "not_mac_address",
        "fabrics",
        "not_fabrics",
        "vlans",
        "not_vlans",
        "subnets",
        "not_subnets",
        "link_speed",
        "pod",
        "not_pod",
        "pod_type",
        "deployment_target",
        "parent",
        "fabric_classes",
        "storage",
        "interfaces",
        "cpu_speed",
        "system_id",
        "not_system_id",
        "not_status",
    ],
)


def check_filter(region: RegionState, name: str, values: Sequence[str]) -> None:
    """Reject a filter that does not exist, or a bad value."""
    if name in UNSIMULATED_FILTERS:
        raise not_simulated(f"filtering machines by {name}")
    if name not in FILTERS:
        raise invalid(name, "No such constraint.")
    if name in ("zone", "pool", "not_in_zone", "not_in_pool"):
        check_names(region, name, list(values))
    if name in ("tags", "not_tags"):
        check_tags(region, name, _split(values))
    if name == "status":
        _check_statuses(values)
    if name in ("cpu_count", "mem") and not all(value.replace(".", "", 1).isdecimal() for value in values):
        raise invalid(name, f"Invalid {'CPU count' if name == 'cpu_count' else 'memory'}: number required.")
    for value in values if name == "mac_address" else ():
        if value.count(":") != MAC_COLONS:
            raise invalid(name, f"'{value}' is not a valid MAC address.")


def _check_statuses(values: Sequence[str]) -> None:
    known = {status.name.lower() for status in Status}
    for value in values:
        if value.lower() not in known:
            raise invalid("status", f"'{value}' is not a valid status.")
