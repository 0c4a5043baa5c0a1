"""Describes the machines that a call changes, and their disks if the call may destroy something."""

from collections.abc import Sequence
from typing import Any, Final

import anyio

from maas_mcp.calls.plan import PlannedMachine
from maas_mcp.errors import MaasMcpError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine
from maas_mcp.machine_text import quoted

MAX_NAMED: Final = 20
"""Maximum machines that a plan or a question describes. Users would not read a longer question."""


async def describe_machines(
    maas: MaasClient, machines: Sequence[Machine], *, with_disks: bool
) -> Sequence[PlannedMachine]:
    """Describe the first :data:`MAX_NAMED` machines, with their disks if ``with_disks``."""
    shown = machines[:MAX_NAMED]
    disks: dict[str, str] = {}

    async def read(machine: Machine) -> None:
        disks[machine.system_id] = await _disks(maas, machine)

    if with_disks:
        async with anyio.create_task_group() as tasks:
            for machine in shown:
                tasks.start_soon(read, machine)
    return [
        PlannedMachine(
            system_id=each.system_id,
            hostname=each.hostname,
            status_name=each.status_name,
            owner=each.owner,
            locked=each.locked,
            pool=each.pool,
            zone=each.zone,
            disks=disks.get(each.system_id),
        )
        for each in shown
    ]


async def _disks(maas: MaasClient, machine: Machine) -> str:
    """The machine's disks; their total size if MAAS does not list them."""
    try:
        devices = await maas.get(f"nodes/{machine.system_id}/blockdevices/")
    except MaasMcpError:
        return _all_disks(machine)
    disks = [each for each in devices if isinstance(each, dict)] if isinstance(devices, list) else []
    named = [_disk(each) for each in disks if each.get("type") != "virtual"]
    return ", ".join(named) or _all_disks(machine)


def _all_disks(machine: Machine) -> str:
    return f"disks of {machine.storage / 1000:.0f} GB in total"


def _disk(device: dict[str, Any]) -> str:
    size = device.get("size")
    shown = f"{size / 1e9:.0f} GB" if isinstance(size, int | float) else ""
    name, model, serial = (quoted(str(device[key])) if device.get(key) else "" for key in ("name", "model", "serial"))
    facts = [model or "unknown model", shown, serial and f"serial {serial}"]
    return f"{name or 'a disk'} ({', '.join(filter(None, facts))})"
