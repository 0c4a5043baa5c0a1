"""The statuses of machines and scripts, with MAAS 3.7's numbers and spelling."""

from enum import IntEnum


class Status(IntEnum):
    """A machine's status; the number is the value of ``status`` in JSON."""

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
        """The text of ``status_name``; three failures are irregular."""
        return _IRREGULAR.get(self) or self.name.replace("_", " ").capitalize()


_IRREGULAR = {
    Status.FAILED_RELEASING: "Releasing failed",
    Status.FAILED_ENTERING_RESCUE_MODE: "Failed to enter rescue mode",
    Status.FAILED_EXITING_RESCUE_MODE: "Failed to exit rescue mode",
}

FAILURE_OF = {
    Status.COMMISSIONING: Status.FAILED_COMMISSIONING,
    Status.DEPLOYING: Status.FAILED_DEPLOYMENT,
    Status.RELEASING: Status.FAILED_RELEASING,
    Status.DISK_ERASING: Status.FAILED_DISK_ERASING,
    Status.ENTERING_RESCUE_MODE: Status.FAILED_ENTERING_RESCUE_MODE,
    Status.EXITING_RESCUE_MODE: Status.FAILED_EXITING_RESCUE_MODE,
    Status.TESTING: Status.FAILED_TESTING,
}
"""The failure status of each status in progress."""

DEPLOYABLE = frozenset({Status.READY, Status.ALLOCATED})
COMMISSIONABLE = frozenset({Status.NEW, Status.FAILED_COMMISSIONING, Status.READY, Status.BROKEN})
HELD = frozenset({Status.RESERVED, Status.ALLOCATED, Status.DEPLOYING, Status.DEPLOYED, Status.FAILED_DEPLOYMENT})
"""Statuses in which the disks of a machine are in use."""
RELEASABLE = HELD | {Status.BROKEN, Status.FAILED_DISK_ERASING, Status.FAILED_RELEASING}
TESTABLE = frozenset(Status) - FAILURE_OF.keys()
RESCUABLE = {Status.ENTERING_RESCUE_MODE} | TESTABLE - {
    Status.RESCUE_MODE,
    Status.FAILED_RELEASING,
    Status.FAILED_EXITING_RESCUE_MODE,
}
"""A machine that is entering rescue mode starts again: MAAS never rejects a change from a status to itself."""
RESCUE_LEAVABLE = frozenset(status for status in Status if "RESCUE_MODE" in status.name)
LOCKABLE = frozenset({Status.DEPLOYED, Status.DEPLOYING})
AT_REST = frozenset(
    {
        Status.NEW,
        Status.COMMISSIONING,
        Status.FAILED_COMMISSIONING,
        Status.MISSING,
        Status.READY,
        Status.RETIRED,
        Status.BROKEN,
    }
)
"""Statuses in which no user owns a machine, or only MAAS uses it."""

TESTED_INTO_ITSELF = frozenset({Status.RESERVED, Status.ALLOCATED, Status.DEPLOYED, Status.RESCUE_MODE})
"""Statuses that a passed test restores. From all others it leads to *Ready* (or to *New*, see ``after_tests``)."""


def after_tests(before: Status) -> Status:
    """Return the status after passed tests, by the status before them (MAAS 3.7, ``op=test``)."""
    if before is Status.FAILED_COMMISSIONING:
        return Status.NEW
    return before if before in TESTED_INTO_ITSELF else Status.READY


class ScriptStatus(IntEnum):
    """The status of a script result, of a script set, or of all of a machine's scripts of one type."""

    UNKNOWN = -1
    PENDING = 0
    RUNNING = 1
    PASSED = 2
    FAILED = 3
    TIMED_OUT = 4
    ABORTED = 5
    DEGRADED = 6
    INSTALLING_DEPENDENCIES = 7
    FAILED_INSTALLING_DEPENDENCIES = 8
    SKIPPED = 9

    @property
    def display(self) -> str:
        """The text of ``status_name``."""
        return self.name.replace("_", " ").capitalize()
