"""Script sets and their results, of commissioning, testing, installation and release."""

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from maas_simulator.model.statuses import ScriptStatus

JSON = dict[str, object]


class SetType(IntEnum):
    """The kind of a script set; the number is its ``type``."""

    COMMISSIONING = 0
    INSTALLATION = 1
    TESTING = 2
    RELEASE = 3


UNFINISHED = frozenset({ScriptStatus.PENDING, ScriptStatus.RUNNING, ScriptStatus.INSTALLING_DEPENDENCIES})

COMMISSIONING_SCRIPTS = {
    "20-maas-01-install-lldpd": 18.0,
    "20-maas-02-dhcp-unconfigured-ifaces": 8.0,
    "20-maas-03-machine-resources": 5.0,
    "30-maas-01-bmc-config": 12.0,
    "40-maas-01-machine-config-hints": 3.0,
    "50-maas-01-commissioning": 14.0,
    "maas-capture-lldpd": 30.0,
    "maas-get-fruid-api-data": 3.0,
    "maas-kernel-cmdline": 2.0,
    "maas-list-modaliases": 3.0,
    "maas-lshw": 8.0,
    "maas-serial-ports": 2.0,
    "maas-support-info": 7.0,
}
"""The thirteen built-in commissioning scripts in running order, with their lengths in simulated seconds."""

BMC_SCRIPT = "30-maas-01-bmc-config"
BMC_PARAMETERS: JSON = {
    "maas_auto_ipmi_user": {"max": 20, "type": "string", "value": "maas", "argument_format": "--username={input}"},
    "maas_auto_ipmi_cipher_suite_id": {
        "max": 2,
        "type": "string",
        "value": "3",
        "argument_format": "--ipmi-cipher-suite-id={input}",
    },
    "maas_auto_ipmi_user_privilege_level": {
        "type": "choice",
        "value": "ADMIN",
        "choices": [["USER", "User"], ["OPERATOR", "Operator"], ["ADMIN", "Administrator"]],
        "argument_format": "--ipmi-privilege-level={input}",
    },
}
"""The parameters of the only built-in commissioning script that has some."""

WITH_DEPENDENCIES = frozenset({"20-maas-01-install-lldpd", BMC_SCRIPT})
"""Scripts that install packages first, and so pass through *Installing dependencies*."""

TEST_SCRIPTS = {
    "smartctl-validate": 20.0,
    "smartctl-short": 120.0,
    "smartctl-long": 5400.0,
    "smartctl-conveyance": 300.0,
    "memtester": 3600.0,
    "stress-ng-cpu-short": 300.0,
    "stress-ng-cpu-long": 43200.0,
    "stress-ng-memory-short": 300.0,
    "stress-ng-memory-long": 43200.0,
    "ntp": 10.0,
    "badblocks": 7200.0,
    "badblocks-destructive": 10800.0,
    "7z": 120.0,
    "fio": 300.0,
    "internet-connectivity": 15.0,
    "gateway-connectivity": 15.0,
    "rack-controller-connectivity": 15.0,
}
"""The built-in tests with their lengths in simulated seconds (per disk, for disk tests)."""

DISK_TESTS = ("smartctl-", "badblocks", "fio")
DESTRUCTIVE_TESTS = frozenset({"badblocks-destructive", "fio"})
DEFAULT_TEST = "smartctl-validate"
INSTALL_LOG = "/tmp/install.log"  # noqa: S108 - the name of a script result in MAAS, not a file
WIPE_DISKS = "wipe-disks"
"""The built-in release script, which erases the disks."""
_AS_SHIPPED = (
    "20-maas-01-install-lldpd",
    "20-maas-02-dhcp-unconfigured-ifaces",
    BMC_SCRIPT,
    "20-maas-03-machine-resources",
    "40-maas-01-machine-config-hints",
    "50-maas-01-commissioning",
    "maas-support-info",
    "maas-lshw",
    "maas-list-modaliases",
    "maas-get-fruid-api-data",
    "maas-kernel-cmdline",
    "maas-serial-ports",
    "maas-capture-lldpd",
)
SCRIPT_IDS = {name: number for number, name in enumerate((*_AS_SHIPPED, *TEST_SCRIPTS, WIPE_DISKS), 1)}
"""Script ids, in the order in which MAAS ships the scripts."""


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

    @property
    def label(self) -> str:
        """The name in events: ``smartctl-validate on sda``."""
        return f"{self.name} on {self.disk}" if self.disk else self.name

    def skip(self, moment: float) -> None:
        """Mark the script as skipped at the user's request."""
        self.status, self.exit_status = ScriptStatus.SKIPPED, 0
        self.started = self.ended = moment

    def as_json(self, *, include_output: bool) -> JSON:
        """The result as ``nodes/{id}/results/`` lists it."""
        runtime = None if self.started is None or self.ended is None else self.ended - self.started
        shown: JSON = {
            "id": self.id,
            "created": http_date(self.created),
            "updated": http_date(self.ended or self.started or self.created),
            "name": self.name,
            "status": int(self.status),
            "status_name": self.status.display,
            "exit_status": self.exit_status,
            "started": http_date(self.started),
            "ended": http_date(self.ended),
            "runtime": duration(runtime),
            "starttime": "" if self.started is None else self.started,
            "endtime": "" if self.ended is None else self.ended,
            "estimated_runtime": duration(runtime if runtime is not None else self.estimate) or "Unknown",
            "parameters": self.parameters,
            "script_id": SCRIPT_IDS.get(self.name),
            "script_revision_id": None if self.exit_status is None else SCRIPT_IDS.get(self.name),
            "suppressed": False,
        }
        if include_output:
            text = base64.b64encode(self.output.encode()).decode()
            shown |= {"output": text, "stdout": text if self.name != INSTALL_LOG else "", "stderr": "", "result": ""}
        return shown


class FinishedResults(Sequence[ScriptResult]):
    """The results of a finished run, created on access. Their common status is known without creating them."""

    __slots__ = ()
    ended_as: ClassVar[ScriptStatus]


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

    def as_json(self, *, include_output: bool = False) -> JSON:
        """The set as ``nodes/{id}/results/`` lists it."""
        started = min((r.started for r in self.results if r.started is not None), default=None)
        unfinished = any(r.ended is None for r in self.results)
        ended = None if unfinished else max((r.ended for r in self.results if r.ended is not None), default=None)
        return {
            "id": self.id,
            "system_id": self.system_id,
            "type": int(self.type),
            "type_name": self.type.name.capitalize(),
            "status": int(self.status),
            "status_name": self.status.display,
            "started": http_date(started),
            "ended": http_date(ended),
            "runtime": "" if started is None or ended is None else duration(ended - started),
            "last_ping": http_date(ended or started) if self.type is SetType.COMMISSIONING else None,
            "results": [result.as_json(include_output=include_output) for result in self.results],
            "resource_uri": f"/MAAS/api/2.0/nodes/{self.system_id}/results/{self.id}/",
        }


def overall(results: Sequence[ScriptResult]) -> ScriptStatus:
    """Return the value of ``commissioning_status`` and ``testing_status``, which ignore aborted scripts."""
    return _first_of(_statuses(results) - {ScriptStatus.ABORTED})


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


def duration(seconds: float | None) -> str:
    """Format a duration as ``0:04:05``, or as an empty string for None."""
    if seconds is None:
        return ""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
