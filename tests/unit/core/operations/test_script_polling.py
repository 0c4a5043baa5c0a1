"""Progress of commissioning and testing scripts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_commission.commission import Commission
from maas_commission.testing import RunTests
from maas_mcp.maas.models import Event, ScriptResult, ScriptSet, ScriptSetName, ScriptStatus
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.judging.evidence import Baseline, Evidence, Observation
from maas_mcp.operations.judging.scripts import ScriptPolling, completed_fraction, parse_duration
from maas_mcp.operations.judging.strategies import MachineAssessment, Phase
from tests.unit.core.operations.timelines import Timeline, replay

COMMISSIONING, TESTING = ScriptSetName.COMMISSIONING, ScriptSetName.TESTING
POLLING = ScriptPolling([Phase("Loading ephemeral", 0.2)], {COMMISSIONING, TESTING}, share=0.8)
BASELINE = Timeline("commission-ok", Commission.lifecycle).baseline
OLD_TESTING = 7
"""The testing set of the previous run."""
P = ScriptStatus


def result(name: str, status: ScriptStatus, estimate: str = "Unknown", runtime: str = "") -> ScriptResult:
    return ScriptResult(
        id=1, name=name, status=status, status_name=status.name, estimated_runtime=estimate, runtime=runtime
    )


def scripts(*results: ScriptResult, number: int = 31) -> ScriptSet:
    return ScriptSet(id=number, status=P.RUNNING, status_name="Running", results=results)


def assessed(
    sets: dict[ScriptSetName, ScriptSet], evidence: Evidence | None = None, **observed: Any
) -> MachineAssessment:
    observation = Observation(script_sets=sets, **observed)
    return POLLING.assess(Commission.lifecycle, evidence or Evidence(BASELINE), observation)


def test_scripts_are_weighted_by_the_estimates_of_maas() -> None:
    half = assessed({COMMISSIONING: scripts(result("a", P.PASSED, "0:09:00"), result("b", P.PENDING, "0:01:00"))})

    assert half.fraction == pytest.approx(0.2 + 0.8 * 0.9)


def test_scripts_without_an_estimate_have_the_average_weight_of_the_others() -> None:
    assert completed_fraction([result("a", P.PASSED), result("b", P.PENDING)]) == 0.5
    assert completed_fraction(
        [result("a", P.PASSED, "0:00:10"), result("b", P.PENDING), result("c", P.PENDING, "0:00:30")]
    ) == (pytest.approx(10 / 60))


def test_scripts_that_take_no_time_have_the_weight_of_a_second() -> None:
    assert completed_fraction([result("a", P.PASSED, "0:00:00"), result("b", P.PENDING, "0:00:00")]) == 0.5


@pytest.mark.parametrize(
    "status", [P.PASSED, P.FAILED, P.TIMED_OUT, P.ABORTED, P.DEGRADED, P.SKIPPED, P.FAILED_INSTALLING_DEPENDENCIES]
)
def test_a_script_that_ended_with_any_result_is_complete(status: ScriptStatus) -> None:
    assert completed_fraction([result("a", status), result("b", P.PENDING)]) == 0.5


@pytest.mark.parametrize("status", [P.RUNNING, P.INSTALLING_DEPENDENCIES, P.APPLYING_NETWORK_CONFIGURATION])
def test_a_running_script_counts_by_its_runtime_or_for_half(status: ScriptStatus) -> None:
    assert completed_fraction([result("a", status, "0:01:00")]) == 0.5
    assert completed_fraction([result("a", status, "0:01:00", runtime="0:00:15")]) == 0.25
    assert completed_fraction([result("a", status, "0:01:00", runtime="9:00:00")]) == 0.95


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:00:00", 0),
        ("0:04:05", 245),
        ("14:00:00", 50400),
        ("1 day, 2:00:00", 93600),
        ("3 days, 0:00:01", 259201),
        ("Unknown", None),
        ("", None),
        ("1:2:3", None),
    ],
)
def test_durations_are_parsed_in_the_format_of_maas(text: str, expected: float | None) -> None:
    assert parse_duration(text) == expected


def test_the_running_script_is_named_with_its_position_among_both_sets() -> None:
    sets = {
        COMMISSIONING: scripts(result("20-lldpd", P.PASSED), result("40-hints", P.RUNNING), result("c", P.PENDING)),
        TESTING: scripts(result("smartctl-validate", P.PENDING), number=32),
    }

    assert assessed(sets).message == "Running 40-hints (2 of 4)"


def test_concurrent_scripts_are_counted_and_failures_are_reported() -> None:
    sets = {COMMISSIONING: scripts(result("a", P.FAILED), result("b", P.RUNNING), result("c", P.RUNNING))}

    assert assessed(sets).message == "Running b and 1 more (1 of 3 have ended), 1 failed"


def test_between_two_scripts_the_number_of_ended_ones_is_reported() -> None:
    assert assessed({TESTING: scripts(result("a", P.PASSED), result("b", P.PENDING))}).message == (
        "1 of 2 scripts have ended"
    )


def test_before_the_first_script_the_boot_phase_is_reported() -> None:
    event = Event(id=BASELINE.cursor + 1, node="fyc3ff", level="INFO", type="Loading ephemeral")
    booting = assessed({COMMISSIONING: scripts(result("a", P.PENDING))}, events=(event,))

    assert (booting.fraction, booting.message) == (0.2, "Loading ephemeral")


def test_the_scripts_of_an_earlier_run_are_ignored() -> None:
    sets = {
        COMMISSIONING: scripts(result("a", P.PASSED), result("b", P.PENDING)),
        TESTING: scripts(result("old", P.PASSED), number=OLD_TESTING),
    }

    assert assessed(sets).message == "1 of 2 scripts have ended"


def test_a_run_of_another_kind_of_scripts_is_not_counted() -> None:
    sets = {ScriptSetName.INSTALLATION: scripts(result("/tmp/install.log", P.PASSED))}

    assert assessed(sets).fraction == 0.0


def test_restarted_scripts_do_not_lower_progress() -> None:
    before = assessed({COMMISSIONING: scripts(result("a", P.PASSED), result("b", P.RUNNING))})
    after = assessed({COMMISSIONING: scripts(result("a", P.RUNNING), result("b", P.PENDING))}, before.evidence)

    assert after.fraction == before.fraction
    assert after.message == "Running a (1 of 2)"


def test_the_last_read_of_the_scripts_counts_until_the_next_one() -> None:
    before = assessed({COMMISSIONING: scripts(result("a", P.PASSED), result("b", P.RUNNING))})
    after = assessed({}, before.evidence)

    assert (after.fraction, after.message) == (before.fraction, before.message)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1, 0.9])
def test_phases_and_scripts_may_not_overlap(share: float) -> None:
    with pytest.raises(ValueError, match="the rest belongs to the scripts"):
        ScriptPolling([Phase("Loading ephemeral", 0.2)], {TESTING}, share=share)


def test_script_polling_requires_script_sets() -> None:
    with pytest.raises(ValueError, match="expected script sets"):
        ScriptPolling([], set())

    assert POLLING.needs.script_sets == {COMMISSIONING, TESTING}
    assert POLLING.needs.events


RESULTS = st.builds(
    result,
    st.just("a"),
    st.sampled_from(ScriptStatus),
    st.sampled_from(["Unknown", "0:00:00", "0:05:00", "2 days, 1:00:00"]),
    st.sampled_from(["", "0:00:00", "0:03:00", "9 days, 0:00:00"]),
)


@given(st.lists(st.lists(RESULTS, min_size=1, max_size=5), max_size=8))
def test_progress_never_decreases_whatever_the_scripts_do(reads: list[list[ScriptResult]]) -> None:
    evidence, last = Evidence(BASELINE), 0.0
    for read in reads:
        assessment = assessed({COMMISSIONING: scripts(*read)}, evidence)
        evidence = assessment.evidence
        assert assessment.fraction is not None
        assert last <= assessment.fraction < 1.0
        last = assessment.fraction


REPORTED: list[tuple[str, type[Operation[Any, Any]], list[str]]] = [
    (
        "commission-ok",
        Commission,
        [
            "Ready",
            "Commissioning",
            "Loading ephemeral",
            "Running 30-maas-01-bmc-config (4 of 15)",
            "6 of 15 scripts have ended",
            "Running maas-serial-ports (12 of 15)",
            "13 of 15 scripts have ended",
            "14 of 15 scripts have ended",
            "Ready",
        ],
    ),
    (
        "commission-script-fails",
        Commission,
        [
            "Ready",
            "Commissioning",
            "Loading ephemeral",
            "Running 30-maas-01-bmc-config (4 of 15)",
            "Running maas-capture-lldpd (7 of 15), 1 failed",
            "12 of 15 scripts have ended, 1 failed",
            "Failed commissioning",
        ],
    ),
    ("test-on-ready", RunTests, ["Ready", "Testing", "Loading ephemeral", "Ready"]),
]


@pytest.mark.parametrize(("name", "operation", "reported"), REPORTED)
def test_recorded_runs_report_the_running_script(
    name: str, operation: type[Operation[Any, Any]], reported: list[str]
) -> None:
    timeline = Timeline(name, operation.lifecycle)
    seen = list(replay(operation.polling, operation.lifecycle, timeline.baseline, timeline.observations))
    messages = [each.message for each in seen]

    assert [each for each, before in zip(messages, ["", *messages], strict=False) if each != before] == reported


def test_a_resumed_run_shows_its_actual_progress() -> None:
    timeline = Timeline("commission-ok", Commission.lifecycle)
    latest = timeline.observations[8]
    seen = Observation(latest.machine, events=tuple(timeline.events), script_sets=latest.script_sets)
    baseline = Baseline(timeline.machines[-2], timeline.baseline.cursor, timeline.baseline.runs)

    picked_up = Commission.polling.assess(Commission.lifecycle, Evidence(baseline), seen)

    assert picked_up.fraction is not None
    assert picked_up.fraction > 0.9


class TestAdopted:
    """A run that another user started: its earlier script sets are unknown."""

    began = Event(
        id=BASELINE.cursor + 1,
        node=BASELINE.machine.system_id,
        level="DEBUG",
        type="Node changed status",
        description="From 'Ready' to 'Commissioning'",
        created="Sat, 28 Nov. 2026 19:00:00",
    )
    began_at = 1795892400.0
    adopted = Evidence(replace(BASELINE, runs=()))

    def test_the_results_of_an_earlier_run_are_not_counted(self) -> None:
        assert self.began.at == self.began_at
        earlier = [replaced(result(name, P.PASSED), starttime=self.began_at - 500) for name in ("x", "y")]
        sets = {COMMISSIONING: scripts(result("a", P.PENDING)), TESTING: scripts(*earlier, number=OLD_TESTING)}

        seen = assessed(sets, self.adopted, events=(self.began,))

        assert (seen.fraction, seen.message) == (0.0, "Commissioning")

    def test_the_results_of_an_earlier_run_are_not_counted_with_those_of_this_run(self) -> None:
        earlier = replaced(result("x", P.PASSED), starttime=self.began_at - 500)
        own = replaced(result("a", P.PASSED), starttime=self.began_at + 60.5)
        sets = {COMMISSIONING: scripts(own, result("b", P.PENDING)), TESTING: scripts(earlier, number=OLD_TESTING)}

        seen = assessed(sets, self.adopted, events=(self.began,))

        assert seen.message == "1 of 2 scripts have ended"

    def test_a_completed_set_is_not_counted_if_no_event_shows_the_start(self) -> None:
        sets = {COMMISSIONING: scripts(result("a", P.PENDING)), TESTING: scripts(result("x", P.PASSED), number=7)}

        assert assessed(sets, self.adopted).fraction == 0.0


def replaced(script: ScriptResult, **fields: Any) -> ScriptResult:
    return script.model_copy(update=fields)
