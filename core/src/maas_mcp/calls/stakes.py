"""Describes the machines that a call changes, with their disks if the call may destroy something."""

from collections.abc import Sequence
from typing import Any, Final

import anyio

from maas_mcp.calls.plan import PlannedMachine
from maas_mcp.errors import MaasMcpError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine
from maas_mcp.machine_text import quoted

MAX_NAMED: Final = 20
"""Machines that a plan or a question describes. A longer question would not be read."""


async def describe_machines(
    maas: MaasClient, machines: Sequence[Machine], *, with_disks: bool
) -> Sequence[PlannedMachine]:
    """Describe the first machines, each with its disks if something on them may be lost."""
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
    """The machine's disks. The machine is described even if MAAS does not list them."""
    try:
        devices = await maas.get(f"nodes/{machine.system_id}/blockdevices/")
    except MaasMcpError:
        return f"its disks ({machine.storage / 1000:.0f} GB)"
    disks = [each for each in devices if isinstance(each, dict)] if isinstance(devices, list) else []
    named = [_disk(each) for each in disks if each.get("type") != "virtual"]
    return ", ".join(named) or f"its disks ({machine.storage / 1000:.0f} GB)"


def _disk(device: dict[str, Any]) -> str:
    size = device.get("size")
    shown = f" {size / 1e9:.0f} GB" if isinstance(size, int | float) else ""
    serial = f", serial {quoted(str(device['serial']))}" if device.get("serial") else ""
    model = quoted(str(device["model"])) if device.get("model") else "unknown model"
    return f"{quoted(str(device.get('name', 'a disk')))} ({model}{shown}{serial})"
