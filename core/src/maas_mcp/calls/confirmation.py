"""Asks the user before a call destroys something: with the machines, their owners, and what is lost."""

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

ERASED: Final = "All data on the disks is lost, and cannot be recovered."


class Consent(BaseModel):
    """The user's consent to a call that destroys something."""

    proceed: bool = Field(strict=True, description="Go on.")


class ErasingConsent(BaseModel):
    """The user's consent to erase disks, which no click can give."""

    typed: str = Field(description="The text that the question names.")


async def confirm(call: ToolCall) -> None:
    """Ask the user about a call that changes machines.

    The key of the question contains what is at stake: an answer about other machines, owners or disks does not count.

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
            raise NotAnsweredError(f"The user did not type `{expected}`. Nothing was sent to MAAS.")
    raise NotAnsweredError(f"The user does not want {call.tool.name} to go on. Nothing was sent to MAAS.")


def text_to_type(machines: list[Machine], effects: Effects) -> str | None:
    """The text that the user types before disks are erased; ``None`` if nothing is erased.

    One machine is named by its hostname, or by its system id if the hostname is not a plain name. A list of hostnames
    would be copied, so several machines are counted.
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
    end = [] if expected is None else [f"To go on, type: {expected}"]
    where = f" in the region {call.tenant.region}" if call.tenant.region else ""
    return "\n".join([f"{title} ({call.tool.name}){where}?", *lines, loss(effects), *end])


def loss(effects: Effects) -> str:
    """What a call may lose, as a sentence."""
    if effects.erases:
        return ERASED
    if effects.destroys_idle:
        return "What MAAS has about it is lost."
    if effects.destroys:
        return "Everything that runs on it is interrupted, and its data may be lost."
    return "Nothing is lost."
