"""Why an operation cannot be started or did not succeed, in MAAS's own words, and what to do next."""

import logging
from typing import Any, Final

from maas_mcp.errors import (
    MaasError,
    MachineGoneError,
    OperationError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
)
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Event, Machine, ScriptResult, ScriptSetName
from maas_mcp.maas.statuses import RUN_FIELDS, MachineStatus
from maas_mcp.operations.operation import Operation
from maas_mcp.operations.polling import Assessment, Evidence, Lifecycle, Verdict

logger = logging.getLogger(__name__)

TAIL_LINES: Final = 12
"""How much of a failing script's output is shown: its last lines, where the reason stands."""

SCRIPT_SETS: Final = {
    MachineStatus.COMMISSIONING: ScriptSetName.COMMISSIONING,
    MachineStatus.TESTING: ScriptSetName.TESTING,
    MachineStatus.DEPLOYING: ScriptSetName.INSTALLATION,
}

NEXT_STEPS: Final = {
    MachineStatus.NEW: "Commission it first.",
    MachineStatus.DEPLOYED: "Release it first; what runs on it is lost then.",
    MachineStatus.FAILED_DEPLOYMENT: "Release it before anything else: MAAS refuses deploy and commission here.",
    MachineStatus.FAILED_DISK_ERASING: "Its disks may be half erased. Release it again, with erase to start over.",
    MachineStatus.FAILED_COMMISSIONING: "Mend what the script complains about, then commission it again.",
    MachineStatus.FAILED_TESTING: "Mend the hardware and test it again. Or use maas_override_failed_testing.",
    MachineStatus.BROKEN: "maas_mark_fixed makes it usable again once it is repaired.",
    MachineStatus.ALLOCATED: "It is still allocated to its owner: deploy it again, or release it.",
    MachineStatus.READY: "Nothing runs on it: it can be deployed or commissioned again.",
    MachineStatus.RESCUE_MODE: "Leave rescue mode first, with maas_exit_rescue_mode.",
}
"""What can be done with a machine where it has ended up (MAAS 3.3 to 3.8)."""


def next_step(machine: Machine) -> str | None:
    """What to do with a machine in this status, where there is one thing to do."""
    return NEXT_STEPS.get(machine.status) if isinstance(machine.status, MachineStatus) else None


def why_not(operation: Operation[Any, Any], machine: Machine) -> OperationRefusedError | None:
    """Why the operation cannot be started on a machine in this state, or ``None``."""
    lifecycle = operation.lifecycle
    if machine.locked:
        return OperationRefusedError(
            f"{machine.hostname} ({machine.system_id}) {machine.why_locked}; nothing was sent to MAAS.",
            hint="Locked machines are protected on purpose. maas_unlock_machine unlocks it, if that is right.",
        )
    if machine.status in lifecycle.start_from:
        return None
    where = f"{machine.hostname} ({machine.system_id}) is {machine.status_name}"
    if machine.status in lifecycle.pending:
        owner = f" for {machine.owner}" if machine.owner else ""
        return OperationRefusedError(
            f"{where}{owner} already: {machine.status_message or 'no message'}. It was not started a second time.",
            hint="Read the machine with maas_get_machine to see how far it is.",
        )
    wanted = ", ".join(status.display for status in sorted(lifecycle.start_from))
    return OperationRefusedError(
        f"{where}; {operation.name} starts from: {wanted}. Nothing was sent to MAAS.",
        hint=next_step(machine),
    )


async def explain(maas: MaasClient, lifecycle: Lifecycle, assessment: Assessment) -> OperationError:
    """The error for a verdict other than success, with everything that MAAS tells about it."""
    evidence = assessment.evidence
    machine = evidence.machine or evidence.baseline.machine
    who = f"{machine.hostname} ({machine.system_id})"
    hint = next_step(machine)
    if assessment.verdict is Verdict.GONE:
        return gone(who)
    if assessment.verdict is Verdict.REVERTED:
        deed = next((event.text for event in reversed(evidence.deeds)), "MAAS does not say by whom")
        if evidence.taken_back and not evidence.superseded:
            deed = "MAAS could not switch the machine on, and took the order back"
        what = "another run was started" if evidence.superseded else "it was ended from outside"
        return OperationRevertedError(
            f"{who} is {machine.status_name} now: {what} ({deed}).", hint=hint, maas_says=_complaints(evidence)
        )
    by = f" ({evidence.deeds[-1].text})" if evidence.aborted and evidence.deeds else ""
    tails = await _script_tails(maas, lifecycle, evidence)
    says = "\n".join(part for part in (_complaints(evidence), *tails) if part)
    return OperationFailedError(
        f"{who} is {machine.status_name}: {_reason(evidence, machine)}{by}", hint=hint, maas_says=says or None
    )


def gone(who: str) -> MachineGoneError:
    """The error for a machine that is not there any longer."""
    return MachineGoneError(
        f"{who} was deleted from MAAS, or may no longer be seen with this API key.",
        hint="List the machines with maas_list_machines.",
    )


def _reason(evidence: Evidence, machine: Machine) -> str:
    """The last word of MAAS. ``error_description`` stays from earlier runs, so it counts only where no event tells."""
    told = [event.description for event in evidence.complaints if event.type == "Marking node failed"]
    if told and told[-1]:
        return told[-1]
    if machine.error_description:
        return machine.error_description
    return evidence.complaints[-1].text if evidence.complaints else "MAAS gives no reason."


def _complaints(evidence: Evidence) -> str | None:
    return "\n".join(f"{event.level}: {event.text}" for event in evidence.complaints) or None


async def _script_tails(maas: MaasClient, lifecycle: Lifecycle, evidence: Evidence) -> list[str]:
    """The ends of the failing scripts' outputs, of this run only: an alias may still name an earlier one."""
    machine = evidence.machine or evidence.baseline.machine
    tails: list[str] = []
    statuses = [status for status in sorted(lifecycle.pending) if status in RUN_FIELDS]
    for status, run in zip(statuses, evidence.runs, strict=False):
        if run is None and (evidence.baseline.runs or evidence.course.began is None):
            continue
        try:
            scripts = await maas.script_set(machine.system_id, SCRIPT_SETS[status], output=True)
        except MaasError as error:
            logger.info("the scripts of %s could not be read: %s", machine.system_id, error)
            continue
        if scripts is None:
            continue
        tails += [
            f"{script.name} ({script.status_name}):\n{_tail(script.output)}"
            for script in scripts.results
            if script.failed and (_is_since(evidence.course.began, script) if run is None else scripts.id == run)
        ]
    return tails


def _is_since(began: Event | None, script: ScriptResult) -> bool:
    """Whether a script was run after that event. Of a run whose script sets are not known, nothing else tells.

    Both times are of the region's clock: it writes the changes of status, and when a script reports (MAAS 3.7).
    """
    return began is not None and began.at is not None and script.starttime is not None and script.starttime >= began.at


def _tail(output: str) -> str:
    lines = output.strip().splitlines()
    return "\n".join(lines[-TAIL_LINES:]) or "(no output)"
