"""The scripts that failed in a run: which, on what, how, and the ends of what they printed."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from maas_mcp.errors import MaasError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SCRIPT_SETS, Event, ScriptResult, ScriptStatus
from maas_mcp.maas.statuses import RUN_FIELDS
from maas_mcp.operations.judging.evidence import Evidence
from maas_mcp.operations.judging.lifecycle import Lifecycle
from maas_mcp.operations.wording import listed

logger = logging.getLogger(__name__)

TAIL_LINES: Final = 12
"""How much of a failing script's output is shown: its last lines, where the reason stands."""
INSTALL_LOG: Final = "/tmp/install.log"  # noqa: S108 - MAAS's name for the log of an installation, and no file here


async def failed_scripts(maas: MaasClient, lifecycle: Lifecycle, evidence: Evidence) -> list[ScriptResult]:
    """The failed scripts of this run, with their output; an alias may still name the set of an earlier one.

    What cannot be read is left out: the verdict stands without it.
    """
    machine = evidence.machine or evidence.baseline.machine
    failed: list[ScriptResult] = []
    statuses = [status for status in sorted(lifecycle.pending) if status in RUN_FIELDS]
    for status, run in zip(statuses, evidence.runs, strict=False):
        if run is None and (evidence.baseline.runs or evidence.timeline.began is None):
            continue
        try:
            scripts = await maas.script_set(machine.system_id, SCRIPT_SETS[status], output=True)
        except MaasError as error:
            logger.info("the scripts of %s could not be read: %s", machine.system_id, error)
            continue
        if scripts is None:
            continue
        failed += [
            script
            for script in scripts.results
            if script.failed and (is_since(evidence.timeline.began, script) if run is None else scripts.id == run)
        ]
    return failed


def in_short(failed: Sequence[ScriptResult]) -> str:
    """What failed, in a sentence; empty if no script did.

    Such as ``smartctl-validate failed on nvme0n1 and sda (exit status 1).``
    The log of an installation is no script: the events say more about one.
    """
    groups: defaultdict[tuple[str, str], list[ScriptResult]] = defaultdict(list)
    for script in failed:
        if script.name != INSTALL_LOG:
            groups[script.name, _how(script)].append(script)
    phrases = []
    for (name, how), scripts in groups.items():
        targets = sorted({script.target for script in scripts if script.target})
        verb, _, detail = how.partition(" (")
        on = f" on {listed(targets)}" if targets else ""
        phrases.append(f"{name} {verb}{on}" + (f" ({detail}" if detail else ""))
    return "; ".join(phrases) + "." if phrases else ""


def tails(failed: Sequence[ScriptResult]) -> list[str]:
    """The last lines of each failed script's output, below its name."""
    return [f"{script.label} ({script.status_name}):\n{_tail(script.output)}" for script in failed]


def is_since(began: Event | None, script: ScriptResult) -> bool:
    """Whether a script was run after that event. Of a run whose script sets are not known, nothing else tells.

    Both times are of the region's clock: it writes the changes of status, and when a script reports (MAAS 3.7).
    """
    return began is not None and began.at is not None and script.starttime is not None and script.starttime >= began.at


def _how(script: ScriptResult) -> str:
    """How it failed, as a verb with its detail in brackets."""
    if script.status == ScriptStatus.FAILED:
        return "failed" if script.exit_status is None else f"failed (exit status {script.exit_status})"
    if script.status == ScriptStatus.TIMED_OUT:
        return "timed out"
    return f"failed ({script.status_name.lower()})"


def _tail(output: str) -> str:
    lines = output.strip().splitlines()
    return "\n".join(lines[-TAIL_LINES:]) or "(no output)"
