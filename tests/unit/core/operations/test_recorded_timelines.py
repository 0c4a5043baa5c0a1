"""Assessments of recorded MAAS traffic."""

from dataclasses import replace

import pytest

from maas_deploy.deploy import Deploy
from maas_deploy.release import Release
from maas_mcp.operations.judging.evidence import Observation
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.judging.strategies import MachineAssessment, StatusPolling
from simulator.tests.recordings import named, paths
from tests.recorded_operations import ENDS, milestones_not_reached, operation_of
from tests.unit.core.operations.timelines import Timeline, replay

NAMES = [path.stem for path in paths()]


def assessments(name: str) -> list[MachineAssessment]:
    operation = operation_of(named(name))
    timeline = Timeline(name, operation.lifecycle)
    return list(replay(operation.polling, operation.lifecycle, timeline.baseline, timeline.observations))


@pytest.mark.parametrize("name", ENDS)
def test_a_recorded_operation_ends_with_the_right_verdict(name: str) -> None:
    *before, last = assessments(name)

    assert {each.verdict for each in before} <= {Verdict.PENDING}
    assert last.verdict is ENDS[name].verdict


@pytest.mark.parametrize("name", NAMES)
def test_progress_never_decreases_and_is_1_only_on_success(name: str) -> None:
    reported = assessments(name)
    fractions = [each.fraction for each in reported]

    assert all(fraction is not None for fraction in fractions)
    assert fractions == sorted(fraction for fraction in fractions if fraction is not None)
    assert (fractions[-1] == 1.0) is (reported[-1].verdict is Verdict.SUCCEEDED)
    assert 1.0 not in fractions[:-1]


@pytest.mark.parametrize("name", NAMES)
def test_no_milestone_is_reported_that_the_run_did_not_reach(name: str) -> None:
    reported = "\n".join(each.message for each in assessments(name))

    assert milestones_not_reached(named(name), reported) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_unreached_milestone_is_reported_if_the_machine_is_read_late(name: str) -> None:
    operation = operation_of(named(name))
    timeline = Timeline(name, operation.lifecycle)
    one_by_one = [Observation(events=(event,)) for event in timeline.events]

    reported = replay(operation.polling, operation.lifecycle, timeline.baseline, one_by_one)

    assert milestones_not_reached(named(name), "\n".join(each.message for each in reported)) == []


def leaves_reads(name: str) -> bool:
    """Whether reads alone show the run. A release of a second shows a pending status only in its events."""
    recording = named(name)
    return recording.took_effect and operation_of(recording) is not Release


@pytest.mark.parametrize("name", [name for name in ENDS if leaves_reads(name)])
def test_reads_alone_lead_to_the_same_verdict(name: str) -> None:
    operation = operation_of(named(name))
    timeline = Timeline(name, operation.lifecycle)
    reads = [each for each in timeline.observations if each.machine or each.absent]

    *_, last = replay(StatusPolling(), operation.lifecycle, timeline.baseline, reads)

    assert last.verdict is ENDS[name].verdict


def test_a_deployment_reports_the_milestones_of_maas() -> None:
    messages = [each.message for each in assessments("deploy-ok")]

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


def test_an_aborted_deployment_names_the_user_who_aborted_it() -> None:
    last = assessments("deploy-aborted-by-someone")[-1]

    assert last.evidence.user_actions[-1].text == 'User aborting deployment - "(admin) - changed my mind"'
    assert last.message == "Allocated"


def test_an_old_error_description_does_not_fail_a_deployment() -> None:
    timeline = Timeline("deploy-ok", Deploy.lifecycle)
    stale = [
        replace(each, machine=each.machine.model_copy(update={"error_description": "BMC unreachable"}))
        if each.machine
        else each
        for each in timeline.observations
    ]

    *_, last = replay(Deploy.polling, Deploy.lifecycle, timeline.baseline, stale)

    assert last.verdict is Verdict.SUCCEEDED
