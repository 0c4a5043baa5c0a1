"""The recorded operations with their classes, their ends, and the expected messages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maas_commission.commission import Commission
from maas_commission.rescue import EnterRescueMode, ExitRescueMode
from maas_commission.testing import RunTests
from maas_deploy.deploy import Deploy
from maas_deploy.release import Release
from maas_mcp.maas.models import Event
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.judging.scripts import ScriptPolling
from maas_mcp.operations.judging.strategies import EventPolling, Phase
from simulator.tests.recordings import Recording

OPERATIONS: Mapping[str, type[Operation[Any, Any]]] = {
    "deploy": Deploy,
    "release": Release,
    "commission": Commission,
    "test": RunTests,
    "rescue_mode": EnterRescueMode,
    "exit_rescue_mode": ExitRescueMode,
}
"""Operations by MAAS's name of the request that starts them."""


def operation_of(recording: Recording) -> type[Operation[Any, Any]]:
    """Return the class of the recorded operation."""
    return OPERATIONS[recording.start.op]


def ended_at(recording: Recording) -> float:
    """Return the time of the frame that shows the end: the last change of status, or the deletion of the machine."""
    _, end = _run_of(recording)
    return next(
        (
            frame.t
            for frame in recording.frames
            if (frame.machine and frame.machine.json is None)
            or (end and end.id in [each["id"] for each in frame.events])
        ),
        recording.length,
    )


def milestones_not_reached(recording: Recording, reported: str) -> list[str]:
    """List the milestones and scripts in a text that the run did not reach."""
    phases, (run, _) = _phases(recording), _run_of(recording)
    reached = {_label(phase) for phase in phases if any(phase.matches(event) for event in run)}
    statuses = {machine["status_name"] for machine in recording.machines}
    scripts = {script["name"] for frame in recording.frames for script in frame.script_results}
    others = {_label(phase) for phase in phases} - reached - statuses
    named = {label for label in others if re.search(rf"\b{re.escape(label)}\b", reported)}
    return sorted(named | (set(re.findall(r"Running (\S+)", reported)) - scripts))


def _phases(recording: Recording) -> tuple[Phase, ...]:
    polling = operation_of(recording).polling
    assert isinstance(polling, EventPolling | ScriptPolling)
    return polling.phases


def _label(phase: Phase) -> str:
    return phase.message or phase.event


def _run_of(recording: Recording) -> tuple[list[Event], Event | None]:
    """Return the run's events and its last event, the change of status that ends it.

    Later events belong to another run, or are late.
    """
    pending = {status.display for status in operation_of(recording).lifecycle.pending}
    events, entered = list(map(Event.model_validate, recording.events)), False
    for number, event in enumerate(events, 1):
        old, new = re.findall(r"'([^']+)'", event.description) if event.type == "Node changed status" else ("", "")
        entered = entered or new in pending
        if entered and old in pending and new not in pending:
            return events[:number], event
    return events, None


@dataclass(frozen=True)
class End:
    """The expected end of an operation. All phrases are parts of sentences, in any case."""

    verdict: Verdict
    headline: tuple[str, ...] = ()
    """Phrases of the first sentence: the error's message, or the summary of the result."""
    says: tuple[str, ...] = ()
    """Phrases of the progress or the end."""
    never: tuple[str, ...] = ()
    """Phrases that must not occur in progress, end, hints and MAAS's own words."""
    never_headline: tuple[str, ...] = ()
    """Phrases that must not occur in the first sentence."""
    never_hint: tuple[str, ...] = ()


GENERIC = "Installation failed (refer to the installation log"
"""MAAS's message for every deployment that fails during installation."""

ENDS: Mapping[str, End] = {
    "deploy-ok": End(Verdict.SUCCEEDED),
    "deploy-ephemeral": End(Verdict.SUCCEEDED),
    "deploy-fails-in-curtin": End(
        Verdict.FAILED, headline=("curtin command install",), says=("/tmp/install.log",), never_headline=(GENERIC,)
    ),
    "deploy-aborted-by-someone": End(Verdict.REVERTED, headline=("admin", "changed my mind")),
    "release-ok": End(Verdict.SUCCEEDED),
    "commission-ok": End(Verdict.SUCCEEDED),
    "commission-script-fails": End(
        Verdict.FAILED,
        headline=("40-maas-01-machine-config-hints", "exit status 1"),
        never=("gives no reason",),
    ),
    "test-on-ready": End(Verdict.SUCCEEDED),
    "rescue-mode": End(Verdict.SUCCEEDED),
    "exit-rescue-mode": End(Verdict.SUCCEEDED),
    "release-bmc-fails": End(
        Verdict.REVERTED,
        headline=("reverted the request", "still Deployed"),
        says=("ExitError: exit status 1",),
        never=("Release it first", "someone else ended it"),
    ),
    "deploy-taken-over-at-once": End(
        Verdict.REVERTED, headline=("alice", "someone"), never=("Rebooting", "Image Deployed"), never_hint=("release",)
    ),
    "commission-fails-stale-error": End(
        Verdict.FAILED, headline=("maas-lshw", "exit status 1"), never_headline=("Installation failed",)
    ),
    "deploy-deleted": End(Verdict.GONE),
    "rescue-mode-by-admin-on-alices": End(Verdict.SUCCEEDED, says=("admin", "alice")),
    "deploy-rack-down": End(
        Verdict.PENDING,  # no frame shows that the request had no effect
        says=("Error determining BMC task queue for machine b6f86m",),
        never=("did not answer",),
    ),
    "deploy-fails-in-late-commands": End(
        Verdict.FAILED, headline=("executing late commands",), never_headline=(GENERIC,)
    ),
    "deploy-cloudinit-fails": End(Verdict.FAILED, headline=("running modules for config",), never_headline=(GENERIC,)),
    "deploy-ephemeral-noble": End(Verdict.SUCCEEDED),
    "commission-skip-enable-ssh": End(Verdict.SUCCEEDED),
}
