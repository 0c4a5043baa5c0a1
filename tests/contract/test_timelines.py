"""Whole operations of the simulator, compared with recordings of a MAAS 3.7.3 region.

The recording looked every half second at machines whose stages took a second: it missed what lasted less. So each of
its states has to be among the simulator's, in the same order; and what the simulator shows beside has to be told by
the recording's events.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from typing import Any

import pytest

from maas_mcp.simulator import Region, demo_region
from tests.contract.timeline import FIELDS, Said, State, Timeline, recorded, values
from tests.core.simulator.conftest import Clock, Maas
from tests.recordings import SETS

LONGEST = 2000
"""Simulated seconds that an operation may take."""


class Stage:
    """A simulated machine that is looked at whenever it changes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.clock = Clock()
        self.region: Region = demo_region(speed=1.0, clock=self.clock)
        self.maas = Maas(self.region, self.region.api_key)

    def order(self, op: str, **form: str) -> None:
        """Post an operation, and let it come to its end unseen."""
        assert self.maas.op(self.name, op, **form).status_code == 200
        self.clock.pass_(LONGEST)

    def watch(self, story: "Story") -> Timeline:
        """Post the story's operation and follow the machine; somebody may do something once it says so."""
        timeline, cursor = Timeline(), self.maas.cursor()
        timeline.machines.append(self._machine())
        timeline.machines.append(_shown(self.maas.op(self.name, story.op, **story.form).json()))
        deeds, seen = dict(story.deeds), None
        for _ in range(LONGEST):
            machine = self.region.machine(self.name)
            now = (self.region.log.next_id, machine.power_state, machine.status_action, machine.netboot)
            if now != seen:
                self._look(timeline)
            seen = now
            self.clock.pass_(1)
            if deed := deeds.pop(machine.status_message or "", None):
                deed(self)
        timeline.events = {event["id"]: event for event in self._events(cursor)}
        return timeline

    def _look(self, timeline: Timeline) -> None:
        timeline.machines.append(self._machine())
        for kind in SETS:
            answer = self.maas.get(f"nodes/{self.region.machine(self.name).system_id}/results/current-{kind}/")
            if answer.status_code == 200:
                timeline.sets.setdefault(kind, []).append(answer.json())

    def _machine(self) -> State:
        return _shown(self.maas.read(self.name))

    def _events(self, cursor: int) -> list[dict[str, Any]]:
        query = f"id={self.region.machine(self.name).system_id}&level=DEBUG&after={cursor}&limit=1000"
        events: list[dict[str, Any]] = self.maas.get(f"events/?op=query&{query}").json()["events"]
        return events


Deed = Callable[[Stage], object]


@dataclass(frozen=True)
class Story:
    """How a recording is told again: the machine, what had happened to it before, and the order.

    ``deeds`` are what somebody does once the machine's ``status_message`` is this.
    """

    op: str
    form: Mapping[str, str] = field(default_factory=dict)
    name: str = "node02"
    before: tuple[Deed, ...] = ()
    deeds: Mapping[str, Deed] = field(default_factory=dict)


def ordered(op: str, **form: str) -> Deed:
    """Somebody has it done."""
    return lambda stage: stage.order(op, **form)


def planned(stage_name: str, reason: str | None = None) -> Deed:
    """The next operation that has this stage fails there."""
    return lambda stage: stage.region.plan(stage.name, fail=stage_name, reason=reason)


def aborted(comment: str) -> Deed:
    """Somebody aborts what the machine is doing."""
    return lambda stage: stage.maas.op(stage.name, "abort", comment=comment)


BMC = "BMC unreachable: connection timed out"

STORIES = {
    "deploy-ok": Story("deploy", {"distro_series": "jammy"}),
    "deploy-ephemeral": Story(
        "deploy", {"ephemeral_deploy": "true"}, before=(ordered("rescue_mode"), ordered("exit_rescue_mode"))
    ),
    "deploy-fails-in-curtin": Story(
        "deploy", before=(ordered("deploy"), ordered("release"), planned("Configuring OS"))
    ),
    "deploy-aborted-by-someone": Story(
        "deploy",
        before=(planned("Deploying", BMC), ordered("deploy"), ordered("release")),
        deeds={"Configuring storage": aborted("changed my mind")},
    ),
    "release-ok": Story("release", {"comment": "done"}, before=(ordered("deploy", distro_series="jammy"),)),
    "commission-ok": Story("commission", {"testing_scripts": "smartctl-validate"}, name="node03"),
    "commission-script-fails": Story("commission", name="node03", before=(planned("40-maas-01-machine-config-hints"),)),
    "test-on-ready": Story("test"),
    "rescue-mode": Story("rescue_mode"),
    "exit-rescue-mode": Story("exit_rescue_mode", before=(ordered("rescue_mode"),)),
}

_QUEUED = "MAAS writes once a minute what cloud-init has said; the recording of these seconds was over before"

_DEPLOYS = ("deploy-ok", "deploy-ephemeral", "deploy-fails-in-curtin", "deploy-aborted-by-someone")

EXPLAINED: Mapping[tuple[str, str], str] = {
    (name, f"cloud-init also says: 'cloudinit' {words}"): _QUEUED
    for words, names in {
        "searching for local datasources": (*_DEPLOYS, "commission-ok"),
        "searching for network datasources": (*_DEPLOYS, "commission-ok"),
        "running modules for config": (*_DEPLOYS, "commission-ok"),
        "running modules for final": ("deploy-ok", "deploy-ephemeral"),
    }.items()
    for name in names
}
"""What is known to differ, by the recording and the difference, with the reason."""

MISSED = frozenset({"status", "status_name", "status_message", "commissioning_status_name", "testing_status_name"})
"""Fields that also have values that last less than the recording's half second."""


@cache
def simulated(name: str) -> Timeline:
    """The recording's story, told by the simulator."""
    stage = Stage(STORIES[name].name)
    for happen in STORIES[name].before:
        happen(stage)
    stage.region.play()
    return stage.watch(STORIES[name])


def differences(name: str) -> list[str]:
    """Where the simulator's timeline is another than the recorded one, as sentences."""
    there, here = recorded(name), simulated(name)
    return [
        *_said(there, here),
        *_heard(there, here),
        *_states(there, here),
        *_values(there, here),
        *_sets(there, here),
    ]


def _said(there: Timeline, here: Timeline) -> Iterator[str]:
    for number, (wanted, said) in enumerate(zip_longest(_own_words(there), _own_words(here)), 1):
        if wanted != said:
            yield f"event {number} is {said} and not {wanted}"


def _own_words(timeline: Timeline) -> list[Said]:
    """All events but cloud-init's, which come when MAAS commits them: once a minute."""
    return [said for said in timeline.said if not said[3].startswith("'cloudinit'")]


def _heard(there: Timeline, here: Timeline) -> Iterator[str]:
    wanted, said = _from_cloud_init(there), _from_cloud_init(here)
    yield from (f"cloud-init does not say: {each}" for each in wanted if each not in said)
    yield from (f"cloud-init also says: {each}" for each in said if each not in wanted)


def _from_cloud_init(timeline: Timeline) -> list[str]:
    """What it says, in any order and as any type of event: both depend on when MAAS clears its queue."""
    return sorted({text for _, _, _, text in timeline.said if text.startswith("'cloudinit'")})


def _states(there: Timeline, here: Timeline) -> Iterator[str]:
    left = here.states
    for number, state in enumerate(there.states, 1):
        if state in left:
            left = left[left.index(state) :]
            continue
        nearest = min((_other(state, each) for each in left), key=len)
        for field_name, (shown, wanted) in nearest.items():
            yield f"state {number}: {field_name} is {shown!r} and not {wanted!r}"


def _other(wanted: State, shown: State) -> dict[str, tuple[Any, Any]]:
    return {name: (shown[name], value) for name, value in wanted.items() if shown[name] != value}


def _values(there: Timeline, here: Timeline) -> Iterator[str]:
    """A field has the recorded values in their order; one that the recording may have missed is told by its events."""
    for name in sorted(set(FIELDS) - MISSED):
        wanted, shown = values(there.states, name), values(here.states, name)
        if wanted != shown:
            yield f"{name} is {shown} and not {wanted}"
    told = [there.states[0]["status_message"], *_messages(there)]
    yield from (
        f"status_message is also {text!r}" for text in values(here.states, "status_message") if text not in told
    )
    told = [there.states[0]["status_name"], *_statuses(there)]
    yield from (f"status_name is also {text!r}" for text in values(here.states, "status_name") if text not in told)


def _messages(timeline: Timeline) -> list[str]:
    return [f"{kind} - {text}" if text else kind for level, _, kind, text in timeline.said if level != "DEBUG"]


def _statuses(timeline: Timeline) -> list[str]:
    return [text.split("'")[3] for _, _, kind, text in timeline.said if kind == "Node changed status"]


def _sets(there: Timeline, here: Timeline) -> Iterator[str]:
    for kind in SETS:
        left = here.scripts(kind)
        for number, scripts in enumerate(there.scripts(kind), 1):
            if scripts in left:
                left = left[left.index(scripts) :]
            else:
                yield f"{kind} scripts {number} are never {scripts[0]} with {_summary(scripts[1])}"


def _summary(scripts: Any) -> str:
    return ", ".join(f"{name} {status}" for name, status, *_ in scripts)


def _shown(machine: dict[str, Any]) -> State:
    return {name: machine[name] for name in FIELDS}


@pytest.mark.parametrize("name", STORIES)
def test_an_operation_goes_on_as_it_did_in_maas(name: str) -> None:
    assert [each for each in differences(name) if (name, each) not in EXPLAINED] == []


def test_no_explanation_is_stale() -> None:
    found = {(name, each) for name in STORIES for each in differences(name)}
    assert [each for each in EXPLAINED if each not in found] == []
