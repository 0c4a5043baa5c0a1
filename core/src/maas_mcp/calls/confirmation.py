"""Asks the user to confirm a call that destroys something: names the machines, their owners and the loss."""

from hashlib import sha256
from typing import Final

from pydantic import BaseModel, Field

from maas_mcp.calls.call import ToolCall
from maas_mcp.calls.stakes import describe_machines
from maas_mcp.errors import NotAnsweredError
from maas_mcp.maas.models import Machine
from maas_mcp.machine_text import quoted
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.declaring.questions import Question

ERASED: Final = "All data on the disks is erased and cannot be recovered."


_ONLY_IF_ASKED: Final = "Repeat the call only if the user asks for it."


class Consent(BaseModel):
    """The user's consent to a call that destroys something."""

    proceed: bool = Field(strict=True, description="Confirm this call")


class ErasingConsent(BaseModel):
    """The user's consent to erase disks. It must be typed, so a click cannot give it."""

    typed: str = Field(description="Requested text")


async def confirm(call: ToolCall) -> None:
    """Ask the user about a call that changes machines.

    The key of the question depends on the machines, owners and disks: an answer about others does not count.

    Raises:
        NotAnsweredError: The user did not agree.
    """
    machines = [] if call.judgement is None else list(call.judgement.call.machines)
    expected = text_to_type(machines, call.effects)
    text = await _question(call, machines, expected)
    at_stake = f"{text}\n{[(each.hostname, each.status, each.owner, each.system_id) for each in machines]}"
    key = f"{'destroy' if expected is None else 'erase'}-{sha256(at_stake.encode()).hexdigest()[:12]}"
    form: type[BaseModel] = Consent if expected is None else ErasingConsent
    answer = (await call.user.ask({key: Question(text, form)}))[key]
    match answer:
        case Consent(proceed=True) if expected is None:
            return
        case ErasingConsent(typed=typed) if typed.strip() == expected:
            return
        case ErasingConsent():
            raise NotAnsweredError(
                f"The user did not type `{expected}`. Nothing was sent to MAAS.", hint=_ONLY_IF_ASKED
            )
    raise NotAnsweredError(f"The user declined {call.tool.name}. Nothing was sent to MAAS.", hint=_ONLY_IF_ASKED)


def text_to_type(machines: list[Machine], effects: Effects) -> str | None:
    """The text that the user must type before disks are erased; ``None`` if nothing is erased.

    For one machine it is the hostname, or the system id if the hostname is not a plain name. For several machines it
    has their number, because users would copy a list of hostnames without reading it.
    """
    if not effects.erases:
        return None
    number = max(len(machines), len(effects.machines))
    if not number == len(machines) == 1:
        return f"erase {number} machines"
    (machine,) = machines
    return machine.hostname if quoted(machine.hostname) == machine.hostname else machine.system_id


async def _question(call: ToolCall, machines: list[Machine], expected: str | None) -> str:
    effects, maas = call.effects, call.tenant.maas
    shown = await describe_machines(maas, machines, with_disks=effects.erases)
    found = {each.system_id for each in machines}
    lines = [f"- {each.line()}" for each in shown]
    lines += [f"- {each}, which MAAS does not show" for each in effects.machines if each not in found]
    if more := len(machines) - len(shown):
        lines.append(f"- and {more} more {'machine' if more == 1 else 'machines'}")
    if not lines:
        lines.append("- the MAAS region itself" if effects.destroys else "- machines that MAAS chooses")
    title = call.tool.title or call.tool.name
    end = [] if expected is None else [f"To confirm, type: {expected}"]
    where = f" in the region {call.tenant.region}" if call.tenant.region else ""
    return "\n".join([f"{title} ({call.tool.name}){where}?", *lines, loss(effects), *end])


def loss(effects: Effects) -> str:
    """The workloads or data that a call may lose, as a sentence."""
    if effects.erases:
        return ERASED
    if effects.destroys_idle:
        return "MAAS's records are lost."
    if effects.destroys:
        return "Running workloads are interrupted, and data may be lost."
    return "No workload or data is lost."
