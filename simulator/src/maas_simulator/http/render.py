"""A machine as JSON: the 81 keys that MAAS 3.7 returns, in lists and single reads alike."""

import uuid
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache, partial
from operator import attrgetter
from typing import Final
from urllib.parse import quote

from maas_simulator.http.interface_views import network_json
from maas_simulator.http.storage_views import storage_json
from maas_simulator.model.built_in_scripts import BUILT_IN, script_of
from maas_simulator.model.config import SYNC_INTERVAL
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record
from maas_simulator.model.scripts import JSON, FinishedResults, SetType, combined, iso_date, overall
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
_HARDWARE: Final = (
    *(f"system_{name}" for name in ("vendor", "product", "family", "version", "sku", "serial")),
    "cpu_model",
    *(f"mainboard_{name}" for name in ("vendor", "product", "serial", "version")),
    *(f"mainboard_firmware_{name}" for name in ("vendor", "date", "version")),
    *(f"chassis_{name}" for name in ("vendor", "type", "serial", "version")),
)


def machine_json(region: RegionState, machine: SimulatedMachine) -> JSON:
    """The machine in full."""
    return {
        **_state(region, machine),
        **network_json(region, machine),
        **_scripts(region, machine),
        **_hardware(machine),
        **storage_json(machine),
        **region.oddities.machines.get(machine.system_id, {}),
    }


def zone_json(_region: RegionState, zone: Record) -> JSON:
    """An availability zone."""
    return {**zone, "resource_uri": f"{API}/zones/{quote(zone['name'])}/"}


def pool_json(_region: RegionState, pool: Record) -> JSON:
    """A resource pool."""
    return {**pool, "resource_uri": f"{API}/resourcepool/{pool['id']}/"}


def tag_json(_region: RegionState, tag: Record) -> JSON:
    """A tag, whose id MAAS does not show."""
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


_SAME: Final = (
    *("system_id", "hostname", "fqdn", "description", "owner", "status_name", "status_message", "status_action"),
    *("error_description", "power_type", "power_state", "locked", "netboot", "osystem", "distro_series", "hwe_kernel"),
    *("min_hwe_kernel", "swap_size", "is_dpu", "ephemeral_deploy", "enable_hw_sync", "enable_kernel_crash_dump"),
)
"""What MAAS shows as it is stored."""
_read_same: Final = attrgetter(*_SAME)


def _state(region: RegionState, machine: SimulatedMachine) -> JSON:
    synced = machine.last_sync
    return {
        **dict(zip(_SAME, _read_same(machine), strict=True)),
        "status": int(machine.status),
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
        "sync_interval": SYNC_INTERVAL if machine.enable_hw_sync else None,
        "last_sync": None if synced is None else iso_date(synced),
        "next_sync": None if synced is None else iso_date(synced + SYNC_INTERVAL),
        **dict.fromkeys(("parent", "address_ttl")),
        "disable_ipv4": False,
        "resource_uri": f"{API}/machines/{machine.system_id}/",
    }


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


def _latest_tests(machine: SimulatedMachine) -> Collection[tuple[Record, ScriptStatus]]:
    """Each test with its latest status in any run, for each disk. Suppressed results count like aborted ones."""
    latest: dict[tuple[str, str | None], tuple[Record, ScriptStatus]] = {}
    for results in (scripts.results for scripts in machine.sets if scripts.type is SetType.TESTING):
        if isinstance(results, FinishedResults):
            latest |= {(name, disk): (BUILT_IN[name], results.ended_as) for name, disk in results.scripts}
        else:
            for each in results:
                counted = ScriptStatus.ABORTED if each.suppressed else each.status
                latest[each.name, each.disk] = (script_of(each), counted)
    return latest.values()


def _hardware(machine: SimulatedMachine) -> JSON:
    """The hardware counts from commissioning."""
    known = machine.known
    info: JSON = dict.fromkeys(_HARDWARE, "Unknown")
    if known:
        info |= {**machine.hardware.info, "system_serial": f"S{23990000 + machine.number}"}
    cores, memory = machine.numa_node or ((machine.cpu_count, machine.memory) if known else (0, 0))
    return {
        "architecture": machine.architecture,
        "cpu_count": machine.cpu_count if known else 0,
        "cpu_speed": machine.hardware.cpu_speed if known else 0,
        "bios_boot_method": machine.hardware.boot_method if known or machine.booted else None,
        "memory": machine.memory if known else 0,
        "hardware_info": info,
        "hardware_uuid": _hardware_uuid(machine.system_id) if known else None,
        "numanode_set": [{"index": 0, "memory": memory, "cores": list(range(cores)), "hugepages_set": []}],
    }


@lru_cache(maxsize=50_000)
def _hardware_uuid(system_id: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"hardware.{system_id}.maas"))
