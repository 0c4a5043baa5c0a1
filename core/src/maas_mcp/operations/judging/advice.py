"""Advice on what to do with a machine, based on its status and owner. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.next_step import NextStep
from maas_mcp.operations.next_steps import (
    exit_rescue_mode,
    mark_fixed,
    override_failed_testing,
    read_machine,
    unlock,
)


@dataclass(frozen=True, slots=True)
class Advice:
    """The next action, as text for people and as calls."""

    hint: str | None = None
    """Sentences that do not name a tool."""
    next_steps: tuple[NextStep, ...] = ()


_RELEASE_FIRST: Final = "Release it first; this destroys its workload."
_BY_STATUS: Final = {
    MachineStatus.NEW: "Commission it first.",
    MachineStatus.FAILED_DEPLOYMENT: "Release it first: MAAS refuses deploy and commission in this status.",
    MachineStatus.FAILED_RELEASING: "Check its BMC and its power settings in MAAS, then release it again.",
    MachineStatus.FAILED_ENTERING_RESCUE_MODE: "Check its BMC and its console, then enter or exit rescue mode again.",
    MachineStatus.FAILED_EXITING_RESCUE_MODE: "Check its BMC and its console, then exit rescue mode again.",
    MachineStatus.FAILED_DISK_ERASING: "Its disks may be half erased. Release it again, with erase to erase them.",
    MachineStatus.FAILED_COMMISSIONING: "Fix the problem that the script reports, then commission it again.",
    MachineStatus.FAILED_TESTING: "Fix the hardware and test it again.",
    MachineStatus.ALLOCATED: "It is still allocated to its owner: deploy it again or release it.",
    MachineStatus.READY: "It has no workload: it can be deployed or commissioned again.",
}
"""The hint for each status (MAAS 3.3 to 3.8)."""
_STEPS: Final[dict[MachineStatus, Callable[[SystemId], NextStep]]] = {
    MachineStatus.BROKEN: mark_fixed,
    MachineStatus.FAILED_TESTING: override_failed_testing,
    MachineStatus.RESCUE_MODE: exit_rescue_mode,
}
"""The suggested call for a status, if it destroys nothing."""


def before_start(machine: Machine, caller: str | None) -> Advice:
    """Advise what to do before the caller's request is possible.

    Args:
        machine: The machine, as it is now.
        caller: The caller's user name. If it is ``None``, every owner counts as another user.
    """
    if machine.status is MachineStatus.DEPLOYED and machine.owner in (None, caller):
        return Advice(_RELEASE_FIRST)
    return after_end(machine, caller)


def about_lock(machine: Machine, caller: str | None) -> Advice:
    """Advise on a locked machine; name its owner if that is another user."""
    owner = f" It belongs to {machine.owner}." if machine.owner not in (None, caller) else ""
    return Advice(f"A lock protects a machine from changes.{owner}", (unlock(machine.system_id),))


def still_at_work(system_id: SystemId) -> Advice:
    """Advise on a machine whose operation did not end in time."""
    return Advice("MAAS may still be working on the machine.", (read_machine(system_id, "Read the machine"),))


def after_end(machine: Machine, caller: str | None) -> Advice:
    """Advise what to do with a machine after an operation.

    The advice never destroys workloads, and never changes a machine of another user.

    Args:
        machine: The machine, as it is now.
        caller: The caller's user name. If it is ``None``, every owner counts as another user.
    """
    if machine.owner not in (None, caller):
        return Advice(f"The machine belongs to {machine.owner}. Ask {machine.owner} before you change it.")
    if not isinstance(machine.status, MachineStatus):
        return Advice()
    step = _STEPS.get(machine.status)
    return Advice(_BY_STATUS.get(machine.status), (step(machine.system_id),) if step else ())
