"""What to do with a machine, by its status and by whose it is. Pure."""

from typing import Final

from maas_mcp.maas.models import Machine
from maas_mcp.maas.statuses import MachineStatus

_RELEASE_FIRST: Final = "Release it first; what runs on it is lost then."
_BY_STATUS: Final = {
    MachineStatus.NEW: "Commission it first.",
    MachineStatus.FAILED_DEPLOYMENT: "Release it before anything else: MAAS refuses deploy and commission here.",
    MachineStatus.FAILED_RELEASING: "Check its BMC and its power settings in MAAS, then release it again.",
    MachineStatus.FAILED_ENTERING_RESCUE_MODE: "Check its BMC and its console, then enter or exit rescue mode again.",
    MachineStatus.FAILED_EXITING_RESCUE_MODE: "Check its BMC and its console, then exit rescue mode again.",
    MachineStatus.FAILED_DISK_ERASING: "Its disks may be half erased. Release it again, with erase to start over.",
    MachineStatus.FAILED_COMMISSIONING: "Fix what the script reports, then commission it again.",
    MachineStatus.FAILED_TESTING: "Fix the hardware and test it again. Or use maas_override_failed_testing.",
    MachineStatus.BROKEN: "maas_mark_fixed makes it usable again once it is repaired.",
    MachineStatus.ALLOCATED: "It is still allocated to its owner: deploy it again, or release it.",
    MachineStatus.READY: "Nothing runs on it: it can be deployed or commissioned again.",
    MachineStatus.RESCUE_MODE: "Leave rescue mode first, with maas_exit_rescue_mode.",
}
"""What can be done with a machine where it has ended up (MAAS 3.3 to 3.8)."""


def before_start(machine: Machine, caller: str | None) -> str | None:
    """What has to be done before the caller's request is possible, where there is one thing to do.

    Args:
        machine: The machine, as it is now.
        caller: Who asks; ``None`` if that is unknown, and then every owner is somebody else.
    """
    if machine.status is MachineStatus.DEPLOYED and machine.owner in (None, caller):
        return _RELEASE_FIRST
    return next_step(machine, caller)


def about_lock(machine: Machine, caller: str | None) -> str:
    """What to know before a locked machine is unlocked; whose it is, if it is not the caller's."""
    owner = f" It is {machine.owner}'s." if machine.owner not in (None, caller) else ""
    return f"Locked machines are protected on purpose.{owner} maas_unlock_machine unlocks it, if that is right."


def next_step(machine: Machine, caller: str | None) -> str | None:
    """What to do with a machine after an operation, where there is one thing to do.

    Nothing that destroys what runs on the machine, and nothing at all about a machine of somebody else.

    Args:
        machine: The machine, as it is now.
        caller: Who asks; ``None`` if that is unknown, and then every owner is somebody else.
    """
    if machine.owner not in (None, caller):
        return f"The machine is {machine.owner}'s. Ask {machine.owner} before you do anything to it."
    return _BY_STATUS.get(machine.status) if isinstance(machine.status, MachineStatus) else None
