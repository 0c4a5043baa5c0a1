"""The machine statuses with MAAS's numbers and names."""

from enum import IntEnum
from typing import Final


class MachineStatus(IntEnum):
    """A machine's status with MAAS's number (``status`` in its JSON), the same in MAAS 3.3 to 3.8.

    Compare these values instead of ``status_name``, whose names are irregular ("Releasing failed", "Failed testing").
    """

    NEW = 0
    COMMISSIONING = 1
    FAILED_COMMISSIONING = 2
    MISSING = 3
    READY = 4
    RESERVED = 5
    DEPLOYED = 6
    RETIRED = 7
    BROKEN = 8
    DEPLOYING = 9
    ALLOCATED = 10
    FAILED_DEPLOYMENT = 11
    RELEASING = 12
    FAILED_RELEASING = 13
    DISK_ERASING = 14
    FAILED_DISK_ERASING = 15
    RESCUE_MODE = 16
    ENTERING_RESCUE_MODE = 17
    FAILED_ENTERING_RESCUE_MODE = 18
    EXITING_RESCUE_MODE = 19
    FAILED_EXITING_RESCUE_MODE = 20
    TESTING = 21
    FAILED_TESTING = 22

    @property
    def display(self) -> str:
        """The name that MAAS shows to users, and uses in ``status_name`` and events."""
        return _IRREGULAR.get(self, self.name.replace("_", " ").capitalize())

    @property
    def filter_value(self) -> str:
        """The name that ``GET machines/?status=`` takes."""
        return self.name.lower()

    @classmethod
    def from_display(cls, name: str) -> "MachineStatus | None":
        """Return the status with the display name ``name``, or ``None`` if this release does not know it."""
        return _BY_DISPLAY.get(name)


_IRREGULAR: Final = {
    MachineStatus.FAILED_RELEASING: "Releasing failed",
    MachineStatus.FAILED_ENTERING_RESCUE_MODE: "Failed to enter rescue mode",
    MachineStatus.FAILED_EXITING_RESCUE_MODE: "Failed to exit rescue mode",
}
_BY_DISPLAY: Final = {status.display: status for status in MachineStatus}

AT_WORK: Final = frozenset(
    {
        MachineStatus.COMMISSIONING,
        MachineStatus.DEPLOYING,
        MachineStatus.RELEASING,
        MachineStatus.DISK_ERASING,
        MachineStatus.ENTERING_RESCUE_MODE,
        MachineStatus.EXITING_RESCUE_MODE,
        MachineStatus.TESTING,
    }
)
"""Statuses of a machine that MAAS is working on."""

RUN_FIELDS: Final = {
    MachineStatus.COMMISSIONING: "current_commissioning_result_id",
    MachineStatus.TESTING: "current_testing_result_id",
    MachineStatus.DEPLOYING: "current_installation_result_id",
}
"""The field of a machine with the script set of its latest run, by the machine's status during the run.

MAAS creates a new script set for each run, so a changed number means a new run. Other statuses have no script set, and
an ephemeral deployment has none either.
"""
