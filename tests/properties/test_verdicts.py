"""Properties that hold for every order in which MAAS's events and reads may arrive."""

from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from maas_commission.commission import Commission
from maas_commission.rescue import EnterRescueMode, ExitRescueMode
from maas_commission.testing import RunTests
from maas_deploy.deploy import Deploy
from maas_deploy.release import Release
from maas_mcp.maas.models import Event, Machine
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.judging.evidence import Baseline, Evidence, Observation
from maas_mcp.operations.judging.lifecycle import Verdict
from tests.unit.core.operations.timelines import Timeline

TIMELINES: list[tuple[str, type[Operation[Any, Any]]]] = [
    ("deploy-ok", Deploy),
    ("deploy-ephemeral", Deploy),
    ("deploy-fails-in-curtin", Deploy),
    ("deploy-aborted-by-someone", Deploy),
    ("release-ok", Release),
]


Seen = tuple[type[Operation[Any, Any]], Baseline, list[Observation]]


def interleaved(recorded: tuple[str, type[Operation[Any, Any]]], random: Random) -> Seen:
    """A recorded operation as another poller may have observed it: events late, twice or out of order, and reads
    missed."""
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
def test_progress_never_decreases_and_the_verdict_is_the_recorded_one(
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
    """A machine in any status, including unknown ones."""
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
def test_success_requires_evidence_of_a_run(seen: list[Observation]) -> None:
    baseline = Baseline(MACHINE, 20, Deploy.lifecycle.runs(MACHINE))
    evidence = Evidence(baseline)
    pending_was_seen = end_was_seen = False
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
        end_was_seen |= any(
            event.id > baseline.cursor and event.status_change == (MachineStatus.DEPLOYING, MachineStatus.DEPLOYED)
            for event in observation.events
        )
        if assessment.verdict is Verdict.SUCCEEDED:
            assert pending_was_seen
            read = observation.machine
            assert end_was_seen or read is None or read.status == MachineStatus.DEPLOYED
        if assessment.verdict.final:
            return


@given(st.lists(machines(), min_size=1, max_size=10))
def test_a_later_run_never_counts_as_success_of_this_one(reads: list[Machine]) -> None:
    ours = MACHINE.model_copy(update={"status": MachineStatus.DEPLOYING, "current_installation_result_id": 7})
    theirs = MACHINE.model_copy(update={"status": MachineStatus.DEPLOYED, "current_installation_result_id": 99})
    evidence = Evidence(Baseline(MACHINE, 20, Deploy.lifecycle.runs(MACHINE)))
    verdicts = []
    for machine in (ours, *reads, theirs):
        assessment = Deploy.polling.assess(Deploy.lifecycle, evidence, Observation(machine))
        evidence = assessment.evidence
        verdicts.append(assessment.verdict)

    assert verdicts[-1] is Verdict.REVERTED


@dataclass(frozen=True)
class Life:
    """The history of a machine since the start of an operation, and the verdict on its run."""

    operation: type[Operation[Any, Any]]
    start: MachineStatus
    events: list[Event]
    end: Verdict

    def read(self, number: int) -> Machine:
        """Return the machine after ``number`` events."""
        changes = [change[1] for event in self.events[:number] if (change := event.status_change)]
        status = next((status for status in reversed(changes) if status is not None), self.start)
        return MACHINE.model_copy(update={"status": status, "status_name": status.display})


OPERATIONS: list[type[Operation[Any, Any]]] = [Deploy, Release, Commission, RunTests, EnterRescueMode, ExitRescueMode]
REVERTED = (
    "Failed to query node's BMC",
    "(admin) - Aborting TESTING and reverting to READY. Unable to power control it.",
)
UNDOING = [("Aborted testing", ""), REVERTED]
NOISE = [*UNDOING, ("Failed to query node's BMC", "Power state could not be queried"), ("User releasing node", "(bob)")]


LEVELS = {"Failed to query node's BMC": "WARNING"}


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """A run, and what other users do with the machine afterwards."""
    operation = draw(st.sampled_from(OPERATIONS))
    lifecycle = operation.lifecycle
    on_the_way = st.sampled_from(sorted(lifecycle.pending))
    start = draw(st.sampled_from(sorted(lifecycle.start_from - lifecycle.pending)))
    reported: list[tuple[str, str]] = []

    def go(status: MachineStatus, *, now: MachineStatus) -> MachineStatus:
        if status is not now:
            reported.append(("Node changed status", f"From '{now.display}' to '{status.display}'"))
        return status

    now = go(draw(st.sampled_from(sorted(lifecycle.begins_in))), now=start)
    for status in draw(st.lists(on_the_way, max_size=2)):
        now = go(status, now=now)
    undone = draw(st.sampled_from([None, *UNDOING]))
    reported += [undone] if undone else []
    ended = go(draw(st.sampled_from(sorted(set(MachineStatus) - lifecycle.pending))), now=now)
    now = ended
    for status in draw(st.lists(STATUSES, max_size=5)):
        moved, now = status is not now, go(status, now=now)
        reported += draw(st.lists(st.sampled_from(NOISE), max_size=2)) if moved else []
    verdict = lifecycle.verdict(ended)
    if verdict is Verdict.SUCCEEDED and undone and lifecycle.hides_an_undoing:
        verdict = Verdict.REVERTED
    if undone == REVERTED and ended is start:  # possibly the failure status of an earlier run
        verdict = Verdict.REVERTED
    events = [
        Event(id=101 + number, node=MACHINE.system_id, level=LEVELS.get(kind, "DEBUG"), type=kind, description=words)
        for number, (kind, words) in enumerate(reported)
    ]
    return Life(operation, start, events, verdict)


@given(lives(), st.integers(0, 2**32).map(Random))
def test_a_final_verdict_never_changes_whatever_happens_to_the_machine(life: Life, random: Random) -> None:
    lifecycle = life.operation.lifecycle
    evidence = Evidence(Baseline(life.read(0), 100, lifecycle.runs(life.read(0))))
    seen, verdicts = 0, []
    while seen < len(life.events):
        until = random.randint(seen, len(life.events))
        machine = life.read(until) if random.random() < 0.7 else None
        observation = Observation(machine, events=tuple(random.sample(life.events[seen:until], until - seen)))
        assessment = life.operation.polling.assess(lifecycle, evidence, observation)
        evidence, seen = assessment.evidence, until
        verdicts.append(assessment.verdict)
    last = Observation(life.read(seen))
    verdicts.append(life.operation.polling.assess(lifecycle, evidence, last).verdict)

    settled = [verdict for verdict in verdicts if verdict.final]
    assert set(settled) == {life.end}
