"""Script sets and their results, of commissioning, testing, installation and release."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import ClassVar

from maas_simulator.model.records import Record
from maas_simulator.model.statuses import ScriptStatus

JSON = dict[str, object]


class SetType(IntEnum):
    """The kind of a script set; the number is its ``type``."""

    COMMISSIONING = 0
    INSTALLATION = 1
    TESTING = 2
    RELEASE = 3


UNFINISHED = frozenset({ScriptStatus.PENDING, ScriptStatus.RUNNING, ScriptStatus.INSTALLING_DEPENDENCIES})

INSTALL_LOG = "/tmp/install.log"  # noqa: S108 - the name of a script result in MAAS, not a file


@dataclass(slots=True)
class ScriptResult:
    """One script of a set. Times are in epoch seconds, ``estimate`` in simulated seconds (None: *Unknown*)."""

    id: int
    name: str
    created: float
    disk: str | None = None
    status: ScriptStatus = ScriptStatus.PENDING
    started: float | None = None
    ended: float | None = None
    exit_status: int | None = None
    estimate: float | None = None
    output: str = ""
    parameters: JSON = field(default_factory=dict)
    suppressed: bool = False
    """Whether MAAS ignores the result in the status of the machine."""
    script: Record | None = None
    """The script; None if it is a built-in one of this name, or the log of an installation."""

    @property
    def label(self) -> str:
        """The name in events: ``smartctl-validate on sda``."""
        return f"{self.name} on {self.disk}" if self.disk else self.name

    def skip(self, moment: float) -> None:
        """Mark the script as skipped at the user's request."""
        self.status, self.exit_status = ScriptStatus.SKIPPED, 0
        self.started = self.ended = moment


class FinishedResults(Sequence[ScriptResult]):
    """The results of a finished run, created on access. Status and names are known without creating them."""

    __slots__ = ()
    ended_as: ClassVar[ScriptStatus]
    scripts: tuple[tuple[str, str | None], ...]
    """The scripts by name, each with its disk, or None."""


@dataclass(slots=True)
class ScriptSet:
    """All scripts of one run; its id identifies the run (``current_*_result_id``)."""

    id: int
    system_id: str
    type: SetType
    results: Sequence[ScriptResult]

    @property
    def status(self) -> ScriptStatus:
        """The most relevant status: Running, else Pending, Failed, Aborted or Passed, in this order."""
        return _first_of(_statuses(self.results))

    def abort(self, status: ScriptStatus = ScriptStatus.ABORTED) -> None:
        """Set the status of all unfinished scripts."""
        for result in self.results:
            if result.status in UNFINISHED:
                result.status = status


def overall(results: Sequence[ScriptResult]) -> ScriptStatus:
    """Return the status of a machine's scripts of one type, which ignores suppressed results."""
    if isinstance(results, FinishedResults):
        return results.ended_as
    return combined(result.status for result in results if not result.suppressed)


def combined(statuses: Iterable[ScriptStatus]) -> ScriptStatus:
    """Return the common status of scripts, which ignores aborted ones."""
    return _first_of(set(statuses) - {ScriptStatus.ABORTED})


def _statuses(results: Sequence[ScriptResult]) -> set[ScriptStatus]:
    return {results.ended_as} if isinstance(results, FinishedResults) else {result.status for result in results}


def _first_of(present: set[ScriptStatus]) -> ScriptStatus:
    if present & {ScriptStatus.RUNNING, ScriptStatus.INSTALLING_DEPENDENCIES}:
        return ScriptStatus.RUNNING
    order = (ScriptStatus.PENDING, ScriptStatus.FAILED, ScriptStatus.ABORTED, ScriptStatus.PASSED)
    return next((status for status in order if status in present), ScriptStatus.UNKNOWN)


def http_date(moment: float | None) -> str | None:
    """Format a time as ``Sun, 22 Nov 2026 08:53:29 +0000``."""
    return None if moment is None else time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(moment))


def iso_date(moment: float) -> str:
    """Format a time as ``2026-11-28T17:37:41.073Z``."""
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def duration(seconds: float | None) -> str:
    """Format a duration as ``0:04:05``, or as an empty string for None."""
    if seconds is None:
        return ""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
