"""The region at the start of the second recording, from the collections that were read there."""

import json
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from typing import Any

from maas_simulator import SimulatedMachine, SimulatedRegion, Status, User
from maas_simulator.http.storage_views import SHOWN as DEVICE
from maas_simulator.model.auth import USUAL_CONSUMER, Token
from maas_simulator.model.disks import Storage
from maas_simulator.model.events import Event
from maas_simulator.model.hardware import SIMULATED, Disk, Hardware
from maas_simulator.model.records import Table
from maas_simulator.model.scripts import ScriptResult, SetType
from maas_simulator.model.statuses import ScriptStatus
from simulator.tests.contract.recording import HERE
from simulator.tests.contract.second_collections import load_collections
from simulator.tests.contract.users import RecordedUser

FIRST_KEY = "ENAsIrsD3mbLFecbVj:afQ4gGnRfXBkg8QysD:4FIS0Xzm41PB2qs353f2Huu6mXrxWURE"
"""The API key that each user had before the recording's own, which is masked alike for all."""


@cache
def world() -> dict[str, Any]:
    """Read the recorded world: ``gets`` by path, ``events``, API ``keys``, the ``rack`` and the ``start``."""
    read: dict[str, Any] = json.loads((HERE / "world-2.json").read_text(encoding="utf-8"))
    return read


def second_region() -> SimulatedRegion:
    """The recorded region as it was at the start, and after each reset."""
    seen = world()
    region = SimulatedRegion(_users(), speed=0.0, epoch=seen["start"])
    for username, key in seen["keys"].items():
        region.authenticator.tokens[username] = [
            Token(name, *each.split(":")) for name, each in ((USUAL_CONSUMER, FIRST_KEY), ("lab", key))
        ]
    load_collections(region, seen["gets"], seen["rack"])
    region.settings |= {url.rpartition("=")[2]: value for url, value in seen["gets"].items() if "op=get_config" in url}
    for number, machine in enumerate(seen["gets"]["machines/"], 1):
        region.machines[machine["system_id"]] = _machine(number, machine)
        region.tables.interfaces[machine["system_id"]] = _interfaces(machine)
        if machine["blockdevice_set"]:
            region.machines[machine["system_id"]].storage = _storage(machine)
    for event in seen["events"]:
        region.log.append(_event(event))
    _add_results(region)
    return region


def _users() -> list[User]:
    seen = world()
    return [
        RecordedUser(user["username"], user["is_superuser"], key=seen["keys"][user["username"]])
        if user["username"] in seen["keys"]
        else User(user["username"], user["is_superuser"])
        for user in seen["gets"]["users/"]
    ]


def _machine(number: int, seen: dict[str, Any]) -> SimulatedMachine:
    disks = seen["physicalblockdevice_set"]
    same = (
        *("system_id", "hostname", "architecture", "description", "power_type", "power_state", "owner", "locked"),
        *("netboot", "osystem", "distro_series", "hwe_kernel", "ephemeral_deploy", "enable_hw_sync"),
        *("enable_kernel_crash_dump", "error_description", "status_message", "status_action"),
    )
    hardware = {"cpu_count": seen["cpu_count"], "memory": seen["memory"]} if disks else {}
    return SimulatedMachine(
        acquired=any(each["filesystem"] for disk in disks for each in disk["partitions"]),
        **{name: seen[name] for name in same},
        **hardware,
        number=number,
        status=Status(seen["status"]),
        previous_status=Status.READY if disks else Status.NEW,
        known=bool(disks),
        booted=seen["bios_boot_method"] is not None,
        disks=tuple(_disk(each) for each in disks),
        hardware=_hardware(),
        power_parameters=world()["gets"]["machines/?op=power_parameters"][seen["system_id"]],
        macs=tuple(nic["mac_address"] for nic in seen["interface_set"]),
        fabrics=tuple(nic["vlan"]["fabric_id"] for nic in seen["interface_set"][1:] if nic["vlan"]),
        tag_names=tuple(seen["tag_names"]),
        zone=seen["zone"]["name"],
        pool=seen["pool"]["name"],
        addressed=bool(seen["osystem"]),
        rack=world()["rack"]["system_id"],
        discovered_address=next(iter(_addresses(seen["boot_interface"]["discovered"])), ""),
        own_address=next(iter(_addresses(seen["boot_interface"]["links"])), ""),
    )


def _disk(seen: dict[str, Any]) -> Disk:
    same = ("name", "size", "model", "serial", "block_size", "firmware_version", "id_path")
    return Disk(**{name: seen[name] for name in same}, tags=tuple(seen["tags"]))


@cache
def _hardware() -> Hardware:
    """The hardware, which all machines have in common. Only some are known."""
    seen = next(each for each in world()["gets"]["machines/"] if each["physicalblockdevice_set"])
    nic = {name: seen["boot_interface"][name] for name in SIMULATED.nic}
    return Hardware(seen["hardware_info"], nic, seen["bios_boot_method"], seen["cpu_speed"])


def _storage(seen: dict[str, Any]) -> Storage:
    storage = Storage(boot_disk=seen["boot_disk"] and seen["boot_disk"]["id"])
    for disk in seen["blockdevice_set"]:
        partitions = [
            {name: each[name] for name in ("id", "size", "uuid", "bootable", "tags")}
            | {"place": place, "filesystem": each["filesystem"] and each["filesystem"] | {"group": None}}
            for place, each in enumerate(disk["partitions"], 1)
        ]
        storage.devices.add(**{name: disk[name] for name in DEVICE}, partitions=partitions, filesystem=None, group=None)
    return storage


def _interfaces(seen: dict[str, Any]) -> Table:
    same = (
        *("id", "name", "type", "mac_address", "vendor", "product", "firmware_version", "interface_speed"),
        *("link_speed", "link_connected", "numa_node", "tags", "params"),
    )
    table = Table("Interface")
    for nic in seen["interface_set"]:
        links = [
            {"id": link["id"], "mode": link["mode"], "ip_address": link.get("ip_address"), "created": None}
            | {"subnet": link["subnet"]["id"] if "subnet" in link else None, "gateway": False}
            for link in nic["links"]
        ]
        found = [each | {"subnet": each["subnet"]["id"]} for each in nic["discovered"] or ()]
        table.add(
            **{name: nic[name] for name in same},
            vlan=nic["vlan"] and nic["vlan"]["id"],
            parents=[],
            links=links,
            discovered=found[0] if found else None,
        )
    return table


def _addresses(links: list[dict[str, Any]] | None) -> list[str]:
    return [each["ip_address"] for each in links or [] if each.get("ip_address")]


def _event(seen: dict[str, Any]) -> Event:
    own = {name: seen[name] for name in ("id", "hostname", "username", "level", "type", "description")}
    return Event(**own, system_id=seen["node"], created=_moment(seen["created"], "%a, %d %b. %Y %H:%M:%S"))


def _add_results(region: SimulatedRegion) -> None:
    gets = world()["gets"]
    listed = chain.from_iterable(each for url, each in gets.items() if url.endswith("/results/"))
    for seen in sorted(listed, key=lambda scripts: int(scripts["id"])):
        first = region.number_results(len(seen["results"]))
        results = [_result(first + index, each) for index, each in enumerate(seen["results"])]
        region.new_set(region.machines[seen["system_id"]], SetType(seen["type"]), results)


def _result(number: int, seen: dict[str, Any]) -> ScriptResult:
    tested = seen["parameters"].get("storage", {}).get("value")
    return ScriptResult(
        number,
        seen["name"],
        _moment(seen["created"], "%a, %d %b %Y %H:%M:%S +0000"),
        tested["name"] if isinstance(tested, dict) else None,  # A test that never ran has ``all``.
        ScriptStatus(seen["status"]),
        seen["starttime"] or None,
        seen["endtime"] or None,
        seen["exit_status"],
        parameters=seen["parameters"],
    )


def _moment(text: str, pattern: str) -> float:
    return datetime.strptime(text, pattern).replace(tzinfo=UTC).timestamp()
