"""A machine as JSON: the 81 keys that MAAS 3.7 returns, in lists and single reads alike."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from urllib.parse import quote

from maas_simulator.http.hardware import hardware_json
from maas_simulator.http.interface_views import network_json
from maas_simulator.http.storage_views import storage_json
from maas_simulator.model.built_in_scripts import BUILT_IN, script_of
from maas_simulator.model.config import SYNC_INTERVAL
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record
from maas_simulator.model.scripts import JSON, FinishedResults, ScriptResult, SetType, combined, overall
from maas_simulator.model.statuses import ScriptStatus
from maas_simulator.state import RegionState

TEST_KINDS: Mapping[str, Callable[[Record], bool]] = {
    **{
        name: partial(lambda kind, script: script["hardware_type"] == kind, kind)
        for kind, name in enumerate(("other", "cpu", "memory", "storage", "network"))
    },
    "interface": lambda script: "interface" in (script["parameters"] or {}),
}
"""The kinds of tests whose status a machine shows."""


def machine_json(region: RegionState, machine: SimulatedMachine) -> JSON:
    """The machine in full."""
    return {
        **_identity(region, machine),
        **_state(machine),
        **network_json(region, machine),
        **_scripts(region, machine),
        **hardware_json(machine),
        **storage_json(machine),
        **_never_set(),
        **region.oddities.machines.get(machine.system_id, {}),
    }


def zone_json(region: RegionState, zone: Record) -> JSON:
    """An availability zone."""
    del region
    return {**zone, "resource_uri": f"{API}/zones/{quote(zone['name'])}/"}


def pool_json(region: RegionState, pool: Record) -> JSON:
    """A resource pool."""
    del region
    return {**pool, "resource_uri": f"{API}/resourcepool/{pool['id']}/"}


def tag_json(region: RegionState, tag: Record) -> JSON:
    """A tag, whose id MAAS does not show."""
    del region
    shown = {name: value for name, value in tag.items() if name != "id"}
    return {**shown, "resource_uri": f"{API}/tags/{quote(tag['name'])}/"}


def domain_json(region: RegionState, domain: Record) -> JSON:
    """A DNS domain. MAAS counts only records that do not belong to machines."""
    tables = region.tables
    names = [name["id"] for name in tables["DNSResource"].where(domain=domain["id"])]
    kinds = ("StaticIPAddress", "DNSData")
    records = [each for kind in kinds for each in tables[kind].values() if each["dnsresource"] in names]
    return {
        **domain,
        "is_default": domain.get("is_default", domain["id"] == 0),
        "resource_record_count": len(records),
        "resource_uri": f"{API}/domains/{domain['id']}/",
    }


def _identity(region: RegionState, machine: SimulatedMachine) -> JSON:
    return {
        "system_id": machine.system_id,
        "hostname": machine.hostname,
        "fqdn": machine.fqdn,
        "description": machine.description,
        "owner": machine.owner,
        "owner_data": machine.annotations,
        "workload_annotations": machine.annotations,
        "node_type": 0,
        "node_type_name": "Machine",
        "zone": zone_json(region, region.tables["Zone"].get_named(machine.zone)),
        "pool": pool_json(region, region.tables["ResourcePool"].get_named(machine.pool)),
        "domain": domain_json(region, region.tables["Domain"].get_named(machine.domain)),
        "tag_names": list(machine.tag_names),
        "pod": machine.pod and {"id": 1, "name": machine.pod, "resource_uri": f"{API}/vm-hosts/1/"},
        "virtualmachine_id": machine.number if machine.pod else None,
        "resource_uri": f"{API}/machines/{machine.system_id}/",
    }


def _state(machine: SimulatedMachine) -> JSON:
    return {
        "status": int(machine.status),
        "status_name": machine.status_name,
        "status_message": machine.status_message,
        "status_action": machine.status_action,
        "error_description": machine.error_description,
        "power_type": machine.power_type,
        "power_state": machine.power_state,
        "locked": machine.locked,
        "netboot": machine.netboot,
        "osystem": machine.osystem,
        "distro_series": machine.distro_series,
        "hwe_kernel": machine.hwe_kernel,
        "min_hwe_kernel": machine.min_hwe_kernel,
        "swap_size": machine.swap_size,
        "is_dpu": machine.is_dpu,
        "ephemeral_deploy": machine.ephemeral_deploy,
        "enable_hw_sync": machine.enable_hw_sync,
        **_sync(machine),
        "enable_kernel_crash_dump": machine.enable_kernel_crash_dump,
    }


def _sync(machine: SimulatedMachine) -> JSON:
    """The times of hardware sync."""
    last = machine.last_sync
    return {
        "sync_interval": SYNC_INTERVAL if machine.enable_hw_sync else None,
        "last_sync": None if last is None else _timestamp(last),
        "next_sync": None if last is None else _timestamp(last + SYNC_INTERVAL),
    }


def _timestamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _scripts(region: RegionState, machine: SimulatedMachine) -> JSON:
    commissioning, tests = region.current_set(machine, SetType.COMMISSIONING), _latest_tests(machine)
    statuses = {
        "commissioning": overall(commissioning.results if commissioning else []),
        "testing": combined(status for _, status in tests),
        **{
            f"{name}_test": combined(status for script, status in tests if is_of_kind(script))
            for name, is_of_kind in TEST_KINDS.items()
        },
    }
    shown: JSON = {}
    for name, status in statuses.items():
        shown |= {f"{name}_status": int(status), f"{name}_status_name": status.display}
    for kind in (SetType.COMMISSIONING, SetType.TESTING, SetType.INSTALLATION):
        shown[f"current_{kind.name.lower()}_result_id"] = machine.current.get(kind)
    return shown


def _counted(result: ScriptResult) -> ScriptStatus:
    """The status as it counts. Suppressed results count as little as aborted ones."""
    return ScriptStatus.ABORTED if result.suppressed else result.status


def _latest_tests(machine: SimulatedMachine) -> Collection[tuple[Record, ScriptStatus]]:
    """Each test with its latest status in any run, for each disk."""
    latest: dict[tuple[str, str | None], tuple[Record, ScriptStatus]] = {}
    for results in (scripts.results for scripts in machine.sets if scripts.type is SetType.TESTING):
        if isinstance(results, FinishedResults):
            latest |= {(name, disk): (BUILT_IN[name], results.ended_as) for name, disk in results.scripts}
        else:
            latest |= {(each.name, each.disk): (script_of(each), _counted(each)) for each in results}
    return latest.values()


def _never_set() -> JSON:
    """Fields that no simulated machine sets."""
    return {
        **dict.fromkeys(("parent", "address_ttl")),
        "disable_ipv4": False,
    }
