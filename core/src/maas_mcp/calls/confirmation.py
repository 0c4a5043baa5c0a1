"""Confirms with the user what a call erases, if its client can ask."""

from hashlib import sha256
from typing import Any, Final

from pydantic import BaseModel, Field

from maas_mcp.calls.call import ToolCall
from maas_mcp.calls.tenant import Tenant
from maas_mcp.errors import MaasMcpError, NotAnsweredError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.machine_text import quoted
from maas_mcp.operations.declaring.questions import Question

MAX_NAMED: Final = 20
"""Machines that a question describes. A longer question would not be read."""


class Consent(BaseModel):
    """The user's consent."""

    erase: bool = Field(strict=True, description="Erase the disks. Their data cannot be recovered.")


async def confirm_erasing(call: ToolCall) -> None:
    """Ask the user about the disks that a call erases, if its client can ask.

    The key of the question contains what is at stake: an answer about other machines, owners or disks does not count.

    Raises:
        NotAnsweredError: The user did not agree.
        MaasError: The machines cannot be read.
    """
    if not (call.effects.erases and call.user.can_ask()):
        return
    text = await _question(call.tenant, call.effects.machines)
    key = f"erase-{sha256(text.encode()).hexdigest()[:12]}"
    answers = await call.user.ask({key: Question(text, Consent)})
    consent = answers[key]
    if not (isinstance(consent, Consent) and consent.erase):
        raise NotAnsweredError("The user does not want the disks to be erased. Nothing was sent to MAAS.")


async def _question(tenant: Tenant, system_ids: tuple[SystemId, ...]) -> str:
    maas, where = tenant.maas, f" in the region {tenant.region}" if tenant.region else ""
    machines = await maas.machines(id=list(system_ids)) if system_ids else []
    found = {machine.system_id: machine for machine in machines}
    lines = [
        await _line(maas, found[each]) if each in found else f"{each}, which MAAS does not show"
        for each in system_ids[:MAX_NAMED]
    ]
    if more := len(system_ids) - len(lines):
        lines.append(f"and {more} more machines")
    return "\n".join([f"May the disks of these machines{where} be erased?", *(f"- {line}" for line in lines)])


async def _line(maas: MaasClient, machine: Machine) -> str:
    owner = f"owned by {machine.owner}" if machine.owner else "without an owner"
    return f"{machine.hostname} ({machine.system_id}), {machine.status_name}, {owner}: {await _disks(maas, machine)}"


async def _disks(maas: MaasClient, machine: Machine) -> str:
    """The machine's disks. The question is asked even if MAAS does not list them."""
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
    name, model, serial = (quoted(str(device[key])) if device.get(key) else "" for key in ("name", "model", "serial"))
    return f"{name or 'a disk'} ({model or 'unknown model'}{shown}{f', serial {serial}' if serial else ''})"
