"""What to do with a machine, by its status and by whose it is. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from maas_mcp.errors import NextStep
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.next_steps import (
    exit_rescue_mode,
    mark_fixed,
    override_failed_testing,
    read_machine,
    unlock,
)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do next, for people and as calls."""

    hint: str | None = None
    """Sentences that name no tool."""
    next_steps: tuple[NextStep, ...] = ()


_RELEASE_FIRST: Final = "Release it first; what runs on it is lost then."
_BY_STATUS: Final = {
    MachineStatus.NEW: "Commission it first.",
    MachineStatus.FAILED_DEPLOYMENT: "Release it before anything else: MAAS refuses deploy and commission here.",
    MachineStatus.FAILED_RELEASING: "Check its BMC and its power settings in MAAS, then release it again.",
    MachineStatus.FAILED_ENTERING_RESCUE_MODE: "Check its BMC and its console, then enter or exit rescue mode again.",
    MachineStatus.FAILED_EXITING_RESCUE_MODE: "Check its BMC and its console, then exit rescue mode again.",
    MachineStatus.FAILED_DISK_ERASING: "Its disks may be half erased. Release it again, with erase to start over.",
    MachineStatus.FAILED_COMMISSIONING: "Fix what the script reports, then commission it again.",
    MachineStatus.FAILED_TESTING: "Fix the hardware and test it again.",
    MachineStatus.ALLOCATED: "It is still allocated to its owner: deploy it again, or release it.",
    MachineStatus.READY: "Nothing runs on it: it can be deployed or commissioned again.",
}
"""What can be done with a machine where it has ended up (MAAS 3.3 to 3.8)."""
_STEPS: Final[dict[MachineStatus, Callable[[SystemId], NextStep]]] = {
    MachineStatus.BROKEN: mark_fixed,
    MachineStatus.FAILED_TESTING: override_failed_testing,
    MachineStatus.RESCUE_MODE: exit_rescue_mode,
}
"""The call that does it, where it destroys nothing."""


def before_start(machine: Machine, caller: str | None) -> Advice:
    """What has to be done before the caller's request is possible, where there is one thing to do.

    Args:
        machine: The machine, as it is now.
        caller: Who asks; ``None`` if that is unknown, and then every owner is somebody else.
    """
    if machine.status is MachineStatus.DEPLOYED and machine.owner in (None, caller):
        return Advice(_RELEASE_FIRST)
    return after_end(machine, caller)


def about_lock(machine: Machine, caller: str | None) -> Advice:
    """What to know before a locked machine is unlocked; whose it is, if it is not the caller's."""
    owner = f" It is {machine.owner}'s." if machine.owner not in (None, caller) else ""
    return Advice(f"Locked machines are protected on purpose.{owner}", (unlock(machine.system_id),))


def still_at_work(system_id: SystemId) -> Advice:
    """What to do about a machine on which an operation was not over in time."""
    return Advice("MAAS may still be at work on the machine.", (read_machine(system_id, "Read the machine"),))


def after_end(machine: Machine, caller: str | None) -> Advice:
    """What to do with a machine after an operation, where there is one thing to do.

    Nothing that destroys what runs on the machine, and nothing at all about a machine of somebody else.

    Args:
        machine: The machine, as it is now.
        caller: Who asks; ``None`` if that is unknown, and then every owner is somebody else.
    """
    if machine.owner not in (None, caller):
        return Advice(f"The machine is {machine.owner}'s. Ask {machine.owner} before you do anything to it.")
    if not isinstance(machine.status, MachineStatus):
        return Advice()
    step = _STEPS.get(machine.status)
    return Advice(_BY_STATUS.get(machine.status), (step(machine.system_id),) if step else ())
