"""Why an operation cannot be started or did not succeed, in MAAS's own words, and what to do next."""

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
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.judging.advice import Advice, about_lock, after_end, before_start
from maas_mcp.operations.judging.evidence import Evidence
from maas_mcp.operations.judging.lifecycle import Lifecycle, Verdict
from maas_mcp.operations.judging.strategies import MachineAssessment
from maas_mcp.operations.next_steps import LIST_MACHINES, query_power_state, read_machine
from maas_mcp.operations.running.failed_scripts import failed_scripts, in_short, tails
from maas_mcp.operations.wording import answer_of, named, state_of

_SWITCHES_OFF: Final = frozenset({MachineStatus.RELEASING, MachineStatus.EXITING_RESCUE_MODE})
"""Where MAAS begins by switching the machine off; everything else begins by a boot."""
_CHECK_POWER: Final = "Check the machine's power settings and credentials in MAAS. Then request it again."
_CANNOT_CONTROL: Final = "MAAS answers so if it cannot control the machine's power (3.7)."
_CHECK_RACK: Final = "Check that the machine's rack controller is running and connected to MAAS. Then request it again."
_MARKED: Final = "Marking node failed"
_STEP_FAILED: Final = "Node installation failure"
_REFERS: Final = " (refer to the installation log for more information)"
_WORKFLOW_FAILED: Final = "Activity task failed"
_GENERIC: Final = frozenset({"Installation failed", _WORKFLOW_FAILED})
"""Reasons that say no more than the status does (MAAS 3.7.3)."""


def refused(operation: Operation[Any, Any], machine: Machine, caller: str | None) -> OperationRefusedError:
    """Why the operation cannot be started on a machine that is locked, or not in a status to start from."""
    lifecycle = operation.lifecycle
    if machine.locked:
        advice = about_lock(machine, caller)
        return OperationRefusedError(
            f"{named(machine)} {machine.why_locked}; nothing was sent to MAAS.",
            hint=advice.hint,
            next_steps=advice.next_steps,
        )
    where = f"{named(machine)} is {state_of(machine)}"
    if machine.status in lifecycle.pending:
        return OperationRefusedError(
            f"{where} already: {machine.status_message or 'no message'}. It was not started a second time.",
            next_steps=[read_machine(machine.system_id, "Read the machine to see how far it is")],
        )
    wanted = ", ".join(status.display for status in sorted(lifecycle.start_from))
    advice = before_start(machine, caller)
    return OperationRefusedError(
        f"{where}; {operation.name} starts from: {wanted}. Nothing was sent to MAAS.",
        hint=advice.hint,
        next_steps=advice.next_steps,
    )


async def explain(
    maas: MaasClient,
    lifecycle: Lifecycle,
    assessment: MachineAssessment,
    *,
    caller: str | None,
    answer: MaasError | None = None,
) -> OperationError:
    """The error for a verdict other than success, with everything that MAAS says about it.

    Args:
        maas: The region.
        lifecycle: The operation's.
        assessment: What the run has come to.
        caller: The user whose API key is used; ``None`` if MAAS cannot be asked.
        answer: The error that MAAS answered the request to start with, where the run began all the same.
    """
    evidence = assessment.evidence
    machine = evidence.machine or evidence.baseline.machine
    if assessment.verdict is Verdict.GONE:
        return gone(named(machine))
    advice = after_end(machine, caller)
    if assessment.verdict is Verdict.REVERTED:
        if _was_reverted(evidence):
            message = _reverted(evidence, machine, answer)
            if machine.owner in (None, caller) and not evidence.moved_on:
                advice = _check_power(machine, answer)
        else:
            message = f"{named(machine)} is {state_of(machine)} now: {_who_ended_it(evidence, machine)}."
        return OperationRevertedError(
            message, hint=advice.hint, maas_says=_says(evidence, answer), next_steps=advice.next_steps
        )
    failed = await failed_scripts(maas, lifecycle, evidence)
    if evidence.aborted:
        reason = f"{_who_ended_it(evidence, machine)}."
    else:
        reason = in_short(failed) or _reason(evidence, machine, answer)
    if answer is not None and answer.acted and advice != Advice():
        advice = Advice(
            " ".join(filter(None, [_CANNOT_CONTROL, _CHECK_POWER, advice.hint])),
            (query_power_state(machine.system_id), *advice.next_steps),
        )
    return OperationFailedError(
        f"{_as_it_ended(evidence, machine)}: {reason}{_since_then(evidence, machine)}",
        hint=advice.hint,
        maas_says=_says(evidence, answer, *tails(failed)),
        next_steps=advice.next_steps,
    )


def started_by_another(evidence: Evidence, name: str, caller: str | None) -> OperationRevertedError:
    """The error for a request that came to nothing, because somebody else's was first."""
    machine = evidence.machine or evidence.baseline.machine
    starter = evidence.timeline.started_by or machine.owner or "someone else"
    advice = after_end(machine, caller)
    return OperationRevertedError(
        f"{named(machine)} is {state_of(machine)}, because {starter} started that; {name} itself never began.",
        hint=advice.hint,
        next_steps=advice.next_steps,
    )


def gone(who: str) -> MachineGoneError:
    """The error for a machine that is not there any longer."""
    return MachineGoneError(
        f"{who} was deleted from MAAS, or may no longer be seen with this API key.",
        next_steps=[LIST_MACHINES],
    )


def _was_reverted(evidence: Evidence) -> bool:
    return evidence.timeline.reverted or evidence.timeline.went_back


def _check_power(machine: Machine, answer: MaasError | None) -> Advice:
    """What to check: MAAS answers 503 if no rack controller can be asked, and 500 if the BMC fails (MAAS 3.7)."""
    if answer is not None and answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Advice(_CHECK_RACK)
    return Advice(_CHECK_POWER, (query_power_state(machine.system_id),))


def _reverted(evidence: Evidence, machine: Machine, answer: MaasError | None) -> str:
    """That MAAS undid the start, and why, as far as its answer or its log says."""
    began = evidence.timeline.began.status_change if evidence.timeline.began else None
    switch = "off" if began and began[1] in _SWITCHES_OFF else "on"
    if evidence.timeline.reverted or (answer is not None and answer.maas_says):
        what = f"MAAS could not switch it {switch} and took the request back"
    else:
        what = (
            "MAAS took the request back by itself and gives no reason in its log; usually it could not "
            f"switch the machine {switch}"
        )
    still = "" if evidence.moved_on else "still "
    said = f" {answer_of(answer)}." if answer is not None and answer.status is not None else ""
    before = evidence.baseline.machine.owner
    owned = "" if before == machine.owner else f" It belonged to {before or 'nobody'} before."
    return f"{named(machine)}: {what}; it is {still}{state_of(machine)}.{owned}{said}"


def _who_ended_it(evidence: Evidence, machine: Machine) -> str:
    """Who ended the run, and who has the machine since."""
    action = next(reversed(evidence.user_actions), None)
    if action is None:
        ended = "someone else ended it (MAAS does not record who)"
    else:
        ended = f"{action.username} ended it ({action.text})"
    taken_by = evidence.timeline.taken_by or (machine.owner if evidence.superseded else None)
    if evidence.superseded:
        return f"{ended}, and {taken_by or 'someone'} started another run since"
    return f"{ended}, and {taken_by} has it since" if taken_by and evidence.moved_on else ended


def _as_it_ended(evidence: Evidence, machine: Machine) -> str:
    end = evidence.timeline.end
    if evidence.moved_on and end is not None:
        return f"{named(machine)} was {end.display}"
    return f"{named(machine)} is {machine.status_name}"


def _since_then(evidence: Evidence, machine: Machine) -> str:
    return f" Since then it has become {state_of(machine)}." if evidence.moved_on and evidence.timeline.end else ""


def _reason(evidence: Evidence, machine: Machine, answer: MaasError | None) -> str:
    """Why it failed: what MAAS marked the machine with, the step that failed, or what it answered.

    MAAS 3.5 and newer keep the ``error_description`` of earlier runs, so it counts only where it is a new one.
    """
    marked = next((event.description for event in reversed(evidence.warnings) if event.type == _MARKED), "")
    if not marked and machine.error_description != evidence.baseline.machine.error_description:
        marked = machine.error_description
    plain = marked.replace(_REFERS, "").strip().removesuffix(".")
    step = next((event.description for event in evidence.warnings if event.type == _STEP_FAILED), "")
    if plain and plain not in _GENERIC:
        return marked
    others = [event.text for event in evidence.warnings if event.type != _MARKED]
    detail = (step or (answer_of(answer) if answer is not None else "") or next(reversed(others), "")).rstrip(".")
    if plain == _WORKFLOW_FAILED and not detail:
        return f"{plain}. MAAS says no more than that where it cannot control the machine's power (3.7)."
    if plain:
        return f"{plain}: {detail}." if detail else marked
    return f"{detail}." if detail else "MAAS gives no reason."


def _says(evidence: Evidence, answer: MaasError | None, *more: str) -> str | None:
    events = [f"{event.level}: {event.text}" for event in evidence.warnings]
    answered = [f"{answer.status}: {answer.maas_says}"] if answer is not None and answer.maas_says else []
    return "\n".join([*answered, *events, *more]) or None
