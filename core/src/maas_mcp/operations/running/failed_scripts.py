"""The failed scripts of a run: their names, targets and exit statuses, and the ends of their output."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from maas_mcp.errors import MaasError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SCRIPT_SETS, Event, ScriptResult, ScriptStatus
from maas_mcp.maas.statuses import RUN_FIELDS
from maas_mcp.machine_text import quoted, quoted_block
from maas_mcp.operations.judging.evidence import Evidence
from maas_mcp.operations.judging.lifecycle import Lifecycle
from maas_mcp.operations.wording import listed

logger = logging.getLogger(__name__)

TAIL_LINES: Final = 12
"""How many of the last lines of a failed script's output are shown."""
INSTALL_LOG: Final = "/tmp/install.log"  # noqa: S108 - MAAS's name for an installation log, not a local file


async def failed_scripts(maas: MaasClient, lifecycle: Lifecycle, evidence: Evidence) -> list[ScriptResult]:
    """Read the failed scripts of this run, with their output.

    A script set's alias may still mean the set of an earlier run. Unreadable sets are left out.
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
            if script.failed and (is_run_after(evidence.timeline.began, script) if run is None else scripts.id == run)
        ]
    return failed


def summarize(failed: Sequence[ScriptResult]) -> str:
    """Summarize the failed scripts in a sentence; empty if no script failed.

    For example: ``smartctl-validate failed on nvme0n1 and sda (exit status 1).``
    The installation log is not a script; the events explain more than it does.
    """
    groups: defaultdict[tuple[str, str], list[ScriptResult]] = defaultdict(list)
    for script in failed:
        if script.name != INSTALL_LOG:
            groups[script.name, _how(script)].append(script)
    phrases = []
    for (name, how), scripts in groups.items():
        targets = sorted({script.target for script in scripts if script.target})
        verb, _, detail = how.partition(" (")
        on = f" on {listed([quoted(each) for each in targets])}" if targets else ""
        phrases.append(f"{quoted(name)} {verb}{on}" + (f" ({detail}" if detail else ""))
    return "; ".join(phrases) + "." if phrases else ""


def output_tails(failed: Sequence[ScriptResult]) -> list[str]:
    """Return the last lines of each failed script's output as a block."""
    return [_tail(script) for script in failed]


def is_run_after(began: Event | None, script: ScriptResult) -> bool:
    """Whether the script ran after that event, for a run whose script sets are unknown.

    Both times are on the region's clock (MAAS 3.7).
    """
    return began is not None and began.at is not None and script.starttime is not None and script.starttime >= began.at


def _how(script: ScriptResult) -> str:
    """Describe the failure as a verb, with details in brackets."""
    if script.status == ScriptStatus.FAILED:
        return "failed" if script.exit_status is None else f"failed (exit status {script.exit_status})"
    if script.status == ScriptStatus.TIMED_OUT:
        return "timed out"
    return f"failed ({script.status_name.lower()})"


def _tail(script: ScriptResult) -> str:
    lines = script.output.strip().splitlines()
    shown = f", last {TAIL_LINES} of {len(lines)} lines" if len(lines) > TAIL_LINES else ""
    heading = f"Output of script {script.label} on the machine, {script.status_name}{shown}"
    return quoted_block(heading, "\n".join(lines[-TAIL_LINES:]) or "(no output)")
