"""Machines and events with odd values, and missing events, which clients must survive."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_simulator import OddEvents, OddMachine, SimulatedRegion, demo_region
from simulator.tests.conftest import Maas

CHANGED = "Node changed status"


def types(said: list[Any]) -> set[str]:
    return {kind for _, kind, _ in said}


def test_odd_values_of_a_machine_are_shown_everywhere(admin: Any, region: SimulatedRegion) -> None:
    odd: dict[str, Any] = {
        "ephemeral_deploy": None,
        "cpu_count": 2.5,
        "status": "unknown",
        "next_year": {"a": [1, None]},
    }
    before = admin.read("node02")
    region.distort(OddMachine("node02", show=odd))

    read = admin.read("node02")
    listed = next(each for each in admin.get("machines/").json() if each["hostname"] == "node02")
    answered = admin.op("node02", "lock") if before["status_name"] == "Deployed" else admin.op("node02", "deploy")

    assert read == before | odd
    for shown in (listed, answered.json()):
        assert {name: shown[name] for name in odd} == odd
    assert "next_year" not in admin.read("node01")
    region.show_as_is()
    assert admin.read("node02")["cpu_count"] == before["cpu_count"]


def test_odd_values_do_not_change_the_machine_itself(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.distort(OddMachine("node02", show={"status": None, "status_name": None, "system_id": 7}))
    assert admin.op("node02", "deploy").status_code == 200
    clock.pass_(3600)
    assert region.machine("node02").status_name == "Deployed"
    assert admin.read("node02")["status_name"] is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_json_value_can_be_shown(value: Any) -> None:
    region = demo_region(speed=0)
    region.distort(OddMachine("node02", show={"owner": value}))
    assert Maas(region, region.api_key).read("node02")["owner"] == value


def test_the_last_odd_value_of_each_field_wins(admin: Any, region: SimulatedRegion) -> None:
    region.distort(OddMachine("node02", show={"owner": 1, "zone": None}))
    region.distort(OddMachine("fyc3ff", show={"owner": 2}))
    assert (admin.read("node02")["owner"], admin.read("node02")["zone"]) == (2, None)


@pytest.mark.parametrize("meant", [{"type": "Deploying"}, {"level": "INFO"}, {"machine": "node02"}, {}])
def test_events_show_odd_values(admin: Any, region: SimulatedRegion, meant: dict[str, Any]) -> None:
    odd = {"level": None, "created": None, "description": None, "username": 3.5}
    region.distort(OddEvents(**meant, show=odd))
    admin.op("node02", "deploy")
    events = admin.get("events/?op=query&id=fyc3ff&level=DEBUG&limit=1").json()["events"]
    assert events[0]["type"] == "Deploying"
    assert {name: events[0][name] for name in odd} == odd


def test_one_event_can_be_selected_by_its_id(admin: Any, region: SimulatedRegion) -> None:
    admin.op("node02", "deploy")
    newest = region.log.events[-1].id
    region.distort(OddEvents(id=newest, show={"type": None}))
    shown = admin.get("events/?op=query&id=fyc3ff&level=DEBUG").json()["events"]
    assert [event["id"] for event in shown if event["type"] is None] == [newest]


def test_hidden_events_are_missing_from_every_query(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.hide_events(event_type=CHANGED)
    cursor = admin.cursor()
    admin.op("node02", "deploy")
    clock.pass_(3600)
    said = admin.said("node02", cursor)
    assert CHANGED not in types(said)
    assert {"Deploying", "Deployed", "PXE Request"} <= types(said)
    page = admin.get(f"events/?op=query&id=fyc3ff&level=DEBUG&limit=3&after={cursor}").json()
    assert page["count"] == len(page["events"]) == 3, "they do not count among the events of a page"
    region.show_as_is()
    assert CHANGED in types(admin.said("node02", cursor))


def test_one_level_of_one_machine_can_be_hidden(admin: Any, region: SimulatedRegion) -> None:
    region.hide_events("node02", level="DEBUG")
    cursor = admin.cursor()
    for name in ("node01", "node02"):
        admin.op(name, "deploy")
    assert {level for level, _, _ in admin.said("node02", cursor)} == {"INFO"}
    assert {level for level, _, _ in admin.said("node01", cursor)} == {"INFO", "DEBUG"}
    assert admin.read("node02")["status_message"] == "Deploying"


def test_bad_oddities_are_rejected(region: SimulatedRegion) -> None:
    with pytest.raises(ValueError, match=r"there is no level 'LOUD'; the levels are: AUDIT, DEBUG, INFO, "):
        region.hide_events(level="LOUD")
    with pytest.raises(KeyError, match="there is no machine 'node99'"):
        region.hide_events("node99")
    with pytest.raises(KeyError, match="there is no machine 'node99'"):
        region.distort(OddMachine("node99", show={"owner": None}))
    with pytest.raises(ValueError, match="show"):
        OddMachine("node02", show={})
    assert (region.oddities.events, region.oddities.machines) == ([], {})


def test_the_control_sets_odd_values_like_python(control: Any, admin: Any) -> None:
    control("POST", "/oddities/machines", {"machine": "node02", "show": {"owner": None, "cpu_count": 1.5}})
    status, shown = control("POST", "/oddities/events", {"machine": "node02", "type": CHANGED})
    assert (status, shown) == (
        200,
        {
            "machines": [{"machine": "fyc3ff", "show": {"owner": None, "cpu_count": 1.5}}],
            "events": [{"machine": "fyc3ff", "level": None, "type": CHANGED, "id": None, "show": None}],
        },
    )
    assert control("GET", "/oddities") == (200, shown)
    admin.op("node02", "deploy")
    assert admin.read("node02")["cpu_count"] == 1.5
    assert CHANGED not in types(admin.said("node02"))
    assert control("DELETE", "/oddities") == (200, {"machines": [], "events": []})
    assert CHANGED in types(admin.said("node02"))


@pytest.mark.parametrize(
    ("path", "given", "words"),
    [
        ("/oddities/machines", {"machine": "node02"}, "show: Field required"),
        ("/oddities/machines", {"machine": "x", "show": {"a": 1}}, "there is no machine 'x'"),
        ("/oddities/events", {"level": "LOUD"}, "there is no level 'LOUD'; the levels are: AUDIT"),
        ("/oddities/events", {"kind": "x"}, "kind: unknown key; the keys are: machine, level, type, id, show"),
    ],
)
def test_bad_oddities_are_rejected_by_the_control(control: Any, path: str, given: Any, words: str) -> None:
    assert words in control.refused("POST", path, given)
