"""Errors that explain why an operation did not start or did not succeed, with MAAS's own words and the next steps."""

from http import HTTPStatus
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
from maas_mcp.maas.models import Machine
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.machine_text import quoted
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.judging.advice import Advice, about_lock, after_end, before_start
from maas_mcp.operations.judging.evidence import Evidence
from maas_mcp.operations.judging.lifecycle import Lifecycle, Verdict
from maas_mcp.operations.judging.strategies import MachineAssessment
from maas_mcp.operations.next_steps import LIST_MACHINES, query_power_state, read_machine
from maas_mcp.operations.running.failed_scripts import failed_scripts, output_tails, summarize
from maas_mcp.operations.wording import answer_of, named, state_of

_POWERS_OFF: Final = frozenset({MachineStatus.RELEASING, MachineStatus.EXITING_RESCUE_MODE})
"""Statuses that MAAS starts by powering the machine off. All others start with a boot."""
_CHECK_POWER: Final = "Check the machine's power settings and credentials in MAAS, then try again."
_CANNOT_CONTROL: Final = "MAAS 3.7 answers this when it cannot control the machine's power."
_CHECK_RACK: Final = "Check that the machine's rack controller is running and connected to MAAS, then try again."
_MARKED: Final = "Marking node failed"
_STEP_FAILED: Final = "Node installation failure"
_REFERS: Final = " (refer to the installation log for more information)"
_WORKFLOW_FAILED: Final = "Activity task failed"
_GENERIC: Final = frozenset({"Installation failed", _WORKFLOW_FAILED})
"""Reasons that add nothing to the status (MAAS 3.7.3)."""


def refused_error(operation: Operation[Any, Any], machine: Machine, caller: str | None) -> OperationRefusedError:
    """The error for a machine that is locked, or in a status from which the operation cannot start."""
    lifecycle = operation.lifecycle
    if machine.locked:
        advice = about_lock(machine, caller)
        return OperationRefusedError(
            f"{named(machine)} {machine.why_locked}; nothing was sent to MAAS.",
            hint=advice.hint,
            next_steps=advice.next_steps,
        )
    if machine.status in lifecycle.pending:
        return OperationRefusedError(
            f"{named(machine)} is already {state_of(machine)}: {machine.status_message or 'no message'}. "
            "Nothing was sent to MAAS.",
            next_steps=[read_machine(machine.system_id, "Read the machine to see its progress")],
        )
    wanted = ", ".join(status.display for status in sorted(lifecycle.start_from))
    advice = before_start(machine, caller)
    return OperationRefusedError(
        f"{named(machine)} is {state_of(machine)}; {operation.name} starts only from: {wanted}. "
        "Nothing was sent to MAAS.",
        hint=advice.hint,
        next_steps=advice.next_steps,
    )


async def explain(
    maas: MaasClient,
    lifecycle: Lifecycle,
    assessment: MachineAssessment,
    *,
    caller: str | None,
    error: MaasError | None = None,
) -> OperationError:
    """The error for a run that did not succeed, with everything that MAAS says about it.

    Args:
        maas: The region.
        lifecycle: The lifecycle of the operation.
        assessment: The final assessment of the run.
        caller: The user of the API key; ``None`` if unknown.
        error: The error that MAAS returned for a start request although the run started.
    """
    evidence = assessment.evidence
    machine = evidence.machine or evidence.baseline.machine
    if assessment.verdict is Verdict.GONE:
        return gone_error(named(machine))
    if assessment.verdict is Verdict.REVERTED:
        return _reverted_error(evidence, machine, caller, error)
    advice = after_end(machine, caller)
    failed = await failed_scripts(maas, lifecycle, evidence)
    if evidence.aborted:
        reason = f"{_who_ended_it(evidence, machine)}."
    else:
        reason = summarize(failed) or _reason(evidence, machine, error)
    if error is not None and error.acted and advice != Advice():
        advice = Advice(
            " ".join(filter(None, [_CANNOT_CONTROL, _CHECK_POWER, advice.hint])),
            (query_power_state(machine.system_id), *advice.next_steps),
        )
    return OperationFailedError(
        f"{_as_it_ended(evidence, machine)}: {reason}{_since_then(evidence, machine)}",
        hint=advice.hint,
        maas_says=_maas_output(evidence, error, *output_tails(failed)),
        next_steps=advice.next_steps,
    )


def _reverted_error(
    evidence: Evidence, machine: Machine, caller: str | None, error: MaasError | None
) -> OperationRevertedError:
    advice = after_end(machine, caller)
    if _is_reverted(evidence):
        message = _reverted(evidence, machine, error)
        if machine.owner in (None, caller) and not evidence.moved_on:
            advice = _check_power(machine, error)
    else:
        message = f"{named(machine)} is {state_of(machine)} now: {_who_ended_it(evidence, machine)}."
    return OperationRevertedError(
        message, hint=advice.hint, maas_says=_maas_output(evidence, error), next_steps=advice.next_steps
    )


def started_by_another_error(evidence: Evidence, name: str, caller: str | None) -> OperationRevertedError:
    """The error for a request that had no effect because another user's request came first."""
    machine = evidence.machine or evidence.baseline.machine
    starter = evidence.timeline.started_by or machine.owner or "someone else"
    advice = after_end(machine, caller)
    return OperationRevertedError(
        f"{name} did not start, because {starter} started another operation first. "
        f"{named(machine)} is {state_of(machine)}.",
        hint=advice.hint,
        next_steps=advice.next_steps,
    )


def gone_error(who: str) -> MachineGoneError:
    """The error for a machine that is no longer in MAAS."""
    return MachineGoneError(
        f"{who} was deleted from MAAS, or this API key can no longer see it.",
        next_steps=[LIST_MACHINES],
    )


def _is_reverted(evidence: Evidence) -> bool:
    return evidence.timeline.reverted or evidence.timeline.went_back


def _check_power(machine: Machine, error: MaasError | None) -> Advice:
    """Advice by status: MAAS 3.7 answers 503 if it reaches no rack controller, and 500 if the BMC fails."""
    if error is not None and error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Advice(_CHECK_RACK)
    return Advice(_CHECK_POWER, (query_power_state(machine.system_id),))


def _reverted(evidence: Evidence, machine: Machine, error: MaasError | None) -> str:
    """The message for a start that MAAS reverted, with the reason from its answer or its log."""
    began = evidence.timeline.began.status_change if evidence.timeline.began else None
    power = "off" if began and began[1] in _POWERS_OFF else "on"
    if evidence.timeline.reverted or (error is not None and error.maas_says):
        what = f"MAAS could not power it {power} and reverted the request"
    else:
        what = (
            "MAAS reverted the request and logged no reason, which usually means that it could not "
            f"power the machine {power}"
        )
    still = "" if evidence.moved_on else "still "
    said = f" {answer_of(error)}." if error is not None and error.status is not None else ""
    before = evidence.baseline.machine.owner
    previous = f" Its previous owner was {before}." if before else " It had no owner before."
    owned = "" if before == machine.owner else previous
    return f"{named(machine)}: {what}; it is {still}{state_of(machine)}.{owned}{said}"


def _who_ended_it(evidence: Evidence, machine: Machine) -> str:
    """Says who ended the run, and who has used the machine since."""
    action = next(reversed(evidence.user_actions), None)
    if action is None:
        ended = "someone else ended it (MAAS does not record who)"
    else:
        ended = f"{action.username} ended it ({action.text})"
    taken_by = evidence.timeline.taken_by or (machine.owner if evidence.superseded else None)
    if evidence.superseded:
        return f"{ended}, and {taken_by or 'someone'} has since started another run"
    return f"{ended}, and {taken_by} took the machine afterwards" if taken_by and evidence.moved_on else ended


def _as_it_ended(evidence: Evidence, machine: Machine) -> str:
    end = evidence.timeline.end
    if evidence.moved_on and end is not None:
        return f"{named(machine)} was {end.display}"
    return f"{named(machine)} is {machine.status_name}"


def _since_then(evidence: Evidence, machine: Machine) -> str:
    return f" It is now {state_of(machine)}." if evidence.moved_on and evidence.timeline.end else ""


def _reason(evidence: Evidence, machine: Machine, error: MaasError | None) -> str:
    """The reason of a failure: MAAS's mark on the machine, the failed step, or MAAS's response to the start request.

    MAAS 3.5 and newer keep the ``error_description`` of earlier runs, so only a changed one counts.
    """
    marked = next((event.description for event in reversed(evidence.warnings) if event.type == _MARKED), "")
    if not marked and machine.error_description != evidence.baseline.machine.error_description:
        marked = machine.error_description
    plain = marked.replace(_REFERS, "").strip().removesuffix(".")
    step = next((event.description for event in evidence.warnings if event.type == _STEP_FAILED), "")
    if plain and plain not in _GENERIC:
        return f"{quoted(marked.rstrip('.'))}."
    others = [event.text for event in evidence.warnings if event.type != _MARKED]
    detail = quoted(step.rstrip(".")) if step else answer_of(error) if error else next(reversed(others), "").rstrip(".")
    if plain == _WORKFLOW_FAILED and not detail:
        return f"{plain}. MAAS 3.7 gives no other reason when it cannot control the machine's power."
    if plain:
        return f"{plain}: {detail}." if detail else f"{plain}."
    return f"{detail}." if detail else "MAAS gives no reason."


def _maas_output(evidence: Evidence, error: MaasError | None, *more: str) -> str | None:
    events = [f"{event.level}: {event.text}" for event in evidence.warnings]
    answered = [f"{error.status}: {error.maas_says}"] if error is not None and error.maas_says else []
    return "\n".join([*answered, *events, *more]) or None
