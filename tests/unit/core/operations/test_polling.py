"""Assessments of single observations."""

from typing import Any

import pytest

from maas_commission.commission import Commission
from maas_deploy.deploy import Deploy
from maas_deploy.release import Release
from maas_mcp.maas.models import Event, Machine
from maas_mcp.maas.statuses import MachineStatus as S
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.judging.evidence import Baseline, Evidence, Observation
from maas_mcp.operations.judging.lifecycle import Lifecycle, Verdict
from maas_mcp.operations.judging.strategies import EventPolling, MachineAssessment, Phase, StatusPolling

READY = Machine(system_id="4y3h7n", hostname="node01", status=S.READY, status_name="Ready")


def machine(status: S | int, **fields: Any) -> Machine:
    name = S(status).display if status in set(S) else "Something new"
    return READY.model_copy(update={"status": status, "status_name": name, **fields})


def event(number: int, kind: str, description: str = "", level: str = "DEBUG") -> Event:
    return Event(id=number, node="4y3h7n", level=level, type=kind, description=description)


def change(number: int, old: S, new: S) -> Event:
    return event(number, "Node changed status", f"From '{old.display}' to '{new.display}'")


def assess(*observations: Observation, operation: type[Operation[Any, Any]] = Deploy) -> MachineAssessment:
    evidence = Evidence(Baseline(READY, 100, operation.lifecycle.runs(READY)))
    for observation in observations:
        assessment = operation.polling.assess(operation.lifecycle, evidence, observation)
        evidence = assessment.evidence
    return assessment


STARTED = Observation(machine(S.DEPLOYING), events=(change(101, S.ALLOCATED, S.DEPLOYING),))


def test_a_success_status_without_a_pending_status_is_no_success() -> None:
    assert assess(Observation(machine(S.DEPLOYED))).verdict is Verdict.PENDING


def test_a_pending_status_in_an_event_is_evidence_even_if_every_read_missed_it() -> None:
    seen = Observation(machine(S.DEPLOYED), events=(change(101, S.ALLOCATED, S.DEPLOYING),))

    assert assess(seen).verdict is Verdict.SUCCEEDED


def test_a_read_from_before_the_run_began_is_not_its_end() -> None:
    waiting = Observation(machine(S.READY))
    started = Observation(events=(change(101, S.READY, S.DEPLOYING),))

    assert assess(waiting, started).verdict is Verdict.PENDING


def test_an_event_before_the_start_is_no_evidence() -> None:
    seen = Observation(machine(S.DEPLOYED), events=(change(100, S.ALLOCATED, S.DEPLOYING),))

    assert assess(seen).verdict is Verdict.PENDING


def test_a_second_start_is_another_run_even_without_a_new_script_set() -> None:
    again = Observation(
        machine(S.DEPLOYED),
        events=(change(110, S.DEPLOYING, S.ALLOCATED), change(111, S.ALLOCATED, S.DEPLOYING)),
    )

    assert assess(STARTED, again).verdict is Verdict.REVERTED


def test_a_duplicate_event_is_no_second_start() -> None:
    again = Observation(machine(S.DEPLOYED), events=STARTED.events)

    assert assess(STARTED, again).verdict is Verdict.SUCCEEDED


def test_an_unknown_status_is_reported_and_following_continues() -> None:
    unknown = assess(STARTED, Observation(machine(77)))

    assert unknown.verdict is Verdict.UNKNOWN
    assert not unknown.verdict.final
    assert "status 77, which this version of maas-mcp does not know" in unknown.message
    assert assess(STARTED, Observation(machine(77)), Observation(machine(S.DEPLOYED))).verdict is Verdict.SUCCEEDED


def test_a_machine_is_gone_after_two_reads_in_a_row_without_it() -> None:
    missing, there = Observation(absent=True), Observation(machine(S.DEPLOYING))

    assert assess(STARTED, missing).verdict is Verdict.PENDING
    assert assess(STARTED, missing, there, missing).verdict is Verdict.PENDING
    assert assess(STARTED, missing, missing).verdict is Verdict.GONE


@pytest.mark.parametrize(
    ("pod", "gone", "verdict"),
    [
        ("vmhost-1", Verdict.SUCCEEDED, Verdict.SUCCEEDED),
        (None, Verdict.SUCCEEDED, Verdict.GONE),
        ("vmhost-1", Verdict.GONE, Verdict.GONE),
    ],
)
def test_a_deletion_is_a_success_only_for_a_virtual_machine_and_only_if_declared(
    pod: str | None, gone: Verdict, verdict: Verdict
) -> None:
    lifecycle = Lifecycle(start_from={S.DEPLOYED}, pending={S.RELEASING}, success={S.READY}, gone=gone)
    evidence = Evidence(Baseline(machine(S.DEPLOYED, pod=pod), 100, ()), absences=1)

    assert StatusPolling().assess(lifecycle, evidence, Observation(absent=True)).verdict is verdict


def test_an_outage_is_reported_with_the_last_state_and_does_not_lower_progress() -> None:
    installing = Observation(events=(event(102, "Installing OS", level="INFO"),))
    outage = assess(STARTED, installing, Observation(unreachable_for=40.0))

    assert outage.message == "MAAS unreachable for 40 s; last seen: Installing OS"
    assert outage.fraction == assess(STARTED, installing).fraction


def test_an_aborted_test_is_no_success_although_it_ends_in_the_same_status() -> None:
    lifecycle = Lifecycle(start_from={S.READY}, pending={S.TESTING}, success={S.READY})
    evidence = Evidence(Baseline(READY, 100, (None,)))
    seen = Observation(machine(S.READY), events=(change(101, S.READY, S.TESTING), event(102, "Aborted testing")))

    assert StatusPolling().assess(lifecycle, evidence, seen).verdict is Verdict.REVERTED


POWER_QUERY_FAILED = "Failed to query node's BMC"
REVERTING = "(admin) - Aborting COMMISSIONING and reverting to READY. Unable to power control the node."


@pytest.mark.parametrize("words", ["Power state could not be queried: connection timeout", "", "Aborting the query"])
def test_a_failed_power_query_reverts_nothing(words: str) -> None:
    seen = Observation(
        machine(S.READY),
        events=(
            change(101, S.READY, S.COMMISSIONING),
            event(102, POWER_QUERY_FAILED, words, "WARNING"),
            change(103, S.COMMISSIONING, S.READY),
        ),
    )

    assert assess(seen, operation=Commission).verdict is Verdict.SUCCEEDED


@pytest.mark.parametrize("number", [102, 104])
def test_a_start_that_maas_reverts_is_no_success_in_either_order_of_events(number: int) -> None:
    seen = Observation(
        machine(S.READY),
        events=(
            change(101, S.READY, S.COMMISSIONING),
            change(103, S.COMMISSIONING, S.READY),
            event(number, POWER_QUERY_FAILED, REVERTING, "WARNING"),
        ),
    )

    assessment = assess(seen, operation=Commission)
    assert assessment.verdict is Verdict.REVERTED
    assert assessment.evidence.reverted


def test_a_completed_deployment_cannot_be_reverted() -> None:
    seen = Observation(
        machine(S.DEPLOYED),
        events=(
            *STARTED.events,
            event(102, POWER_QUERY_FAILED, REVERTING, "WARNING"),
            change(103, S.DEPLOYING, S.DEPLOYED),
        ),
    )

    assert assess(seen).verdict is Verdict.SUCCEEDED


RELEASED = (change(101, S.DEPLOYED, S.RELEASING), change(102, S.RELEASING, S.READY))
TAKEN = (
    event(103, "User acquiring node", "(bob)"),
    change(104, S.READY, S.ALLOCATED),
    event(105, "User starting deployment", "(bob)"),
    change(106, S.ALLOCATED, S.DEPLOYING),
)


def test_a_release_succeeds_even_if_the_machine_is_allocated_at_once() -> None:
    seen = assess(Observation(machine(S.DEPLOYING), events=RELEASED + TAKEN), operation=Release)

    assert seen.verdict is Verdict.SUCCEEDED
    assert seen.message == "Ready; since then node01 has become Deploying"


def test_an_end_shown_by_an_event_needs_a_later_read() -> None:
    before = Observation(machine(S.RELEASING), events=RELEASED[:1])
    reported = Observation(events=RELEASED[1:])

    assert assess(before, reported, operation=Release).verdict is Verdict.PENDING
    assert assess(before, reported, Observation(machine(S.READY)), operation=Release).verdict is Verdict.SUCCEEDED


def test_events_after_the_end_change_nothing() -> None:
    failed = (
        *STARTED.events,
        event(102, "Marking node failed", "Installation failed", "ERROR"),
        change(103, S.DEPLOYING, S.FAILED_DEPLOYMENT),
    )
    later = (
        event(104, "User releasing node", "(bob)"),
        change(105, S.FAILED_DEPLOYMENT, S.RELEASING),
        event(106, "Marking node failed", "No answer to the release", "ERROR"),
        change(107, S.RELEASING, S.ALLOCATED),
        change(108, S.ALLOCATED, S.DEPLOYING),
    )

    seen = assess(
        Observation(machine(S.FAILED_DEPLOYMENT), events=failed), Observation(machine(S.DEPLOYING), events=later)
    )

    assert seen.verdict is Verdict.FAILED
    assert [each.id for each in seen.evidence.warnings] == [102]
    assert seen.evidence.user_actions == ()


def test_an_unknown_status_is_no_end() -> None:
    strange = event(102, "Node changed status", "From 'Deploying' to 'Polishing'")

    assert assess(STARTED, Observation(machine(77), events=(strange,))).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("read_before", [True, False])
def test_the_previous_status_is_not_shown_after_the_start(*, read_before: bool) -> None:
    lifecycle = Lifecycle(start_from={S.READY}, pending={S.ENTERING_RESCUE_MODE}, success={S.RESCUE_MODE})
    polling, evidence = EventPolling([Phase("Performing PXE boot", 0.2)]), Evidence(Baseline(READY, 100, ()))
    if read_before:
        evidence = polling.assess(lifecycle, evidence, Observation(READY)).evidence

    started = Observation(events=(change(101, S.READY, S.ENTERING_RESCUE_MODE),))

    assert polling.assess(lifecycle, evidence, started).message == "Entering rescue mode"


def test_phases_out_of_order_are_rejected_with_a_fix() -> None:
    with pytest.raises(ValueError, match="in the order in which they happen"):
        EventPolling([Phase("Rebooting", 0.8), Phase("Installing OS", 0.4)])


def test_a_status_that_is_both_pending_and_an_end_is_rejected() -> None:
    with pytest.raises(ValueError, match="no status of pending in success or failure"):
        Lifecycle(start_from={S.READY}, pending={S.TESTING}, success={S.TESTING})
