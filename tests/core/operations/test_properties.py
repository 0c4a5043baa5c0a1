"""What holds for every order in which MAAS's events and reads may arrive."""

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from maas_deploy.deploy import Deploy
from maas_deploy.release import Release
from maas_mcp.maas.models import Event, Machine
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.operation import Operation
from maas_mcp.operations.polling import Baseline, Evidence, Observation, Verdict
from tests.core.operations.timelines import Timeline

TIMELINES: list[tuple[str, type[Operation[Any, Any]]]] = [
    ("deploy-ok", Deploy),
    ("deploy-ephemeral", Deploy),
    ("deploy-fails-in-curtin", Deploy),
    ("deploy-aborted-by-someone", Deploy),
    ("release-ok", Release),
]


Seen = tuple[type[Operation[Any, Any]], Baseline, list[Observation]]


def interleaved(recorded: tuple[str, type[Operation[Any, Any]]], random: Random) -> Seen:
    """A recorded operation as another poller might have seen it: events late, twice, out of order, reads missed."""
    name, operation = recorded
    timeline = Timeline(name, operation.lifecycle)
    events = timeline.events + random.choices(timeline.events, k=5)
    random.shuffle(events)
    reads = [machine for machine in timeline.machines if random.random() < 0.6]
    seen = []
    while events or reads:
        count = random.randint(0, len(events))
        machine = reads.pop(0) if reads and random.random() < 0.5 else None
        outage = random.choice([None, random.uniform(0, 1000)])
        seen.append(Observation(machine, events=tuple(events[:count]), unreachable_for=outage))
        events = events[count:]
    return operation, timeline.baseline, [*seen, Observation(timeline.machines[-1])]


@given(st.builds(interleaved, st.sampled_from(TIMELINES), st.integers(0, 2**32).map(Random)))
def test_progress_is_monotone_and_the_end_is_the_recorded_one(
    seen: Seen,
) -> None:
    operation, baseline, observations = seen
    evidence, last = Evidence(baseline), 0.0
    end = operation.lifecycle.verdict(_status(observations[-1].machine))
    verdict = Verdict.PENDING
    for observation in observations:
        assessment = operation.polling.assess(operation.lifecycle, evidence, observation)
        evidence, verdict = assessment.evidence, assessment.verdict
        assert assessment.fraction is not None
        assert last <= assessment.fraction <= 1.0
        assert (assessment.fraction == 1.0) is (verdict is Verdict.SUCCEEDED)
        last = assessment.fraction
        if verdict.final:
            break

    assert verdict is end


def _status(machine: Machine | None) -> MachineStatus:
    assert machine is not None
    assert isinstance(machine.status, MachineStatus)
    return machine.status


STATUSES = st.sampled_from(MachineStatus)
MACHINE = Timeline("deploy-ok", Deploy.lifecycle).baseline.machine


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """A machine in any status, a number that nobody knows among them."""
    status: int = draw(STATUSES | st.integers(23, 40))
    run = draw(st.sampled_from([None, 7, 8, 9]))
    name = MachineStatus(status).display if status in set(MachineStatus) else "Something new"
    return MACHINE.model_copy(
        update={
            "status": status if name == "Something new" else MachineStatus(status),
            "status_name": name,
            "current_installation_result_id": run,
        }
    )


@st.composite
def status_events(draw: st.DrawFn) -> Event:
    old, new = draw(STATUSES), draw(STATUSES)
    return Event(
        id=draw(st.integers(1, 60)),
        node=MACHINE.system_id,
        level="DEBUG",
        type="Node changed status",
        description=f"From '{old.display}' to '{new.display}'",
    )


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    machine = draw(st.none() | machines())
    return Observation(
        machine,
        absent=machine is None and draw(st.booleans()),
        events=tuple(draw(st.lists(status_events(), max_size=4))),
    )


@given(st.lists(observations(), max_size=30))
def test_there_is_no_success_without_evidence_of_a_run(seen: list[Observation]) -> None:
    baseline = Baseline(MACHINE, 20, Deploy.lifecycle.runs(MACHINE))
    evidence = Evidence(baseline)
    pending_was_seen = False
    for observation in seen:
        pending_was_seen |= observation.machine is not None and (
            observation.machine.status == MachineStatus.DEPLOYING
            or observation.machine.current_installation_result_id is not None
        )
        pending_was_seen |= any(
            event.id > baseline.cursor and (event.status_change or (None, None))[1] is MachineStatus.DEPLOYING
            for event in observation.events
        )
        assessment = Deploy.polling.assess(Deploy.lifecycle, evidence, observation)
        evidence = assessment.evidence
        if assessment.verdict is Verdict.SUCCEEDED:
            assert pending_was_seen
            assert observation.machine is None or observation.machine.status == MachineStatus.DEPLOYED
        if assessment.verdict.final:
            return


@given(st.lists(machines(), min_size=1, max_size=10))
def test_another_run_after_ours_never_reads_as_our_success(reads: list[Machine]) -> None:
    ours = MACHINE.model_copy(update={"status": MachineStatus.DEPLOYING, "current_installation_result_id": 7})
    theirs = MACHINE.model_copy(update={"status": MachineStatus.DEPLOYED, "current_installation_result_id": 99})
    evidence = Evidence(Baseline(MACHINE, 20, Deploy.lifecycle.runs(MACHINE)))
    verdicts = []
    for machine in (ours, *reads, theirs):
        assessment = Deploy.polling.assess(Deploy.lifecycle, evidence, Observation(machine))
        evidence = assessment.evidence
        verdicts.append(assessment.verdict)

    assert verdicts[-1] is Verdict.REVERTED
