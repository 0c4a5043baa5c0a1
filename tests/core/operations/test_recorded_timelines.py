"""What real MAAS traffic is assessed as."""

from dataclasses import replace
from typing import Any

import pytest

from maas_commission.commission import Commission
from maas_commission.rescue import EnterRescueMode, ExitRescueMode
from maas_commission.testing import RunTests
from maas_deploy.deploy import Deploy
from maas_deploy.release import Release
from maas_mcp.operations.operation import Operation
from maas_mcp.operations.polling import Assessment, StatusPolling, Verdict
from tests.core.operations.timelines import Timeline, replay

ENDS: list[tuple[str, type[Operation[Any, Any]], Verdict]] = [
    ("deploy-ok", Deploy, Verdict.SUCCEEDED),
    ("deploy-ephemeral", Deploy, Verdict.SUCCEEDED),
    ("deploy-fails-in-curtin", Deploy, Verdict.FAILED),
    ("deploy-aborted-by-someone", Deploy, Verdict.REVERTED),
    ("release-ok", Release, Verdict.SUCCEEDED),
    ("commission-ok", Commission, Verdict.SUCCEEDED),
    ("commission-script-fails", Commission, Verdict.FAILED),
    ("test-on-ready", RunTests, Verdict.SUCCEEDED),
    ("rescue-mode", EnterRescueMode, Verdict.SUCCEEDED),
    ("exit-rescue-mode", ExitRescueMode, Verdict.SUCCEEDED),
]


def assessments(name: str, operation: type[Operation[Any, Any]]) -> list[Assessment]:
    timeline = Timeline(name, operation.lifecycle)
    return list(replay(operation.polling, operation.lifecycle, timeline.baseline, timeline.observations))


@pytest.mark.parametrize(("name", "operation", "end"), ENDS)
def test_a_recorded_operation_ends_with_the_right_verdict(
    name: str, operation: type[Operation[Any, Any]], end: Verdict
) -> None:
    *before, last = assessments(name, operation)

    assert {each.verdict for each in before} <= {Verdict.PENDING}
    assert last.verdict is end


@pytest.mark.parametrize(("name", "operation", "end"), ENDS)
def test_progress_never_decreases_and_is_whole_at_success_only(
    name: str, operation: type[Operation[Any, Any]], end: Verdict
) -> None:
    fractions = [each.fraction for each in assessments(name, operation)]

    assert all(fraction is not None for fraction in fractions)
    assert fractions == sorted(fraction for fraction in fractions if fraction is not None)
    assert (fractions[-1] == 1.0) is (end is Verdict.SUCCEEDED)
    assert 1.0 not in fractions[:-1]


# A release of a second shows no status on the way: only its events tell that it happened.
@pytest.mark.parametrize(("name", "operation", "end"), [end for end in ENDS if end[1] is not Release])
def test_without_events_the_machine_alone_leads_to_the_same_verdict(
    name: str, operation: type[Operation[Any, Any]], end: Verdict
) -> None:
    timeline = Timeline(name, operation.lifecycle)
    reads = [each for each in timeline.observations if each.machine]

    *_, last = replay(StatusPolling(), operation.lifecycle, timeline.baseline, reads)

    assert last.verdict is end


def test_deploy_tells_the_milestones_that_maas_tells() -> None:
    messages = [each.message for each in assessments("deploy-ok", Deploy)]

    assert list(dict.fromkeys(messages)) == [
        "Ready",
        "Deploying",
        "Loading ephemeral",
        "Configuring storage",
        "Installing OS",
        "Configuring OS",
        "Rebooting",
        "Booting the installed system",
        "Deployed",
    ]


def test_a_second_pxe_boot_does_not_lower_progress() -> None:
    timeline = Timeline("deploy-ok", Deploy.lifecycle)
    reached = {
        event.id: assessment.fraction or 0.0
        for assessment, observation in zip(
            replay(Deploy.polling, Deploy.lifecycle, timeline.baseline, timeline.observations),
            timeline.observations,
            strict=False,
        )
        for event in observation.events
    }
    first, second = (event.id for event in timeline.events if event.type == "Performing PXE boot")

    assert reached[first] < reached[second]


def test_a_deploy_that_was_aborted_names_who_did_it() -> None:
    last = assessments("deploy-aborted-by-someone", Deploy)[-1]

    assert last.evidence.user_actions[-1].text == "User aborting deployment - (admin) - changed my mind"
    assert last.message == "Allocated"


def test_a_stale_error_description_does_not_make_a_deploy_fail() -> None:
    timeline = Timeline("deploy-ok", Deploy.lifecycle)
    stale = [
        replace(each, machine=each.machine.model_copy(update={"error_description": "BMC unreachable"}))
        if each.machine
        else each
        for each in timeline.observations
    ]

    *_, last = replay(Deploy.polling, Deploy.lifecycle, timeline.baseline, stale)

    assert last.verdict is Verdict.SUCCEEDED
