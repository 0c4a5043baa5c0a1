"""Planned failures of machines and racks, and changes of the clock during operations."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_simulator import Planned, SimulatedRegion
from maas_simulator.model.schedule import Schedule

BMC = "Failed to complete power action: IPMI: connection timeout"
RACK = "Unable to connect to any rack controller bwdhs4; no connections available."


def test_plans_are_listed_until_they_happen(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.plan("node02", fail="Installing OS", reason="disk full")
    region.plan("node03", hang="40-maas-01-machine-config-hints")
    region.bmc_down("node04")
    region.rack_down()
    assert region.plans() == [
        Planned(rack_down="bwdhs4"),
        Planned("node02", fail="Installing OS", reason="disk full"),
        Planned("node03", hang="40-maas-01-machine-config-hints"),
        Planned("node04", bmc_down=True),
    ]
    region.rack_down(down=False)
    admin.op("node02", "deploy")
    assert Planned("node02", fail="Installing OS", reason="disk full") not in region.plans()
    region.clear_plans()
    assert region.plans() == []
    admin.op("node03", "commission")
    clock.pass_(1000)
    assert admin.read("node03")["status_name"] == "Ready"


def test_a_hanging_script_hangs_until_it_is_aborted(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.plan("node03", hang="40-maas-01-machine-config-hints")
    admin.op("node03", "commission")
    clock.pass_(1000)
    running = admin.get("nodes/ndn36c/results/current-commissioning/").json()["results"]
    assert [each["name"] for each in running if each["status_name"] == "Running"] == ["40-maas-01-machine-config-hints"]
    admin.op("node03", "abort")
    assert admin.read("node03")["status_name"] == "New"


def test_a_deployment_with_its_bmc_down_is_accepted_and_then_fails_each_time(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    region.bmc_down("node02")
    for _ in range(2):
        assert admin.op("node02", "deploy").status_code == 200
        clock.pass_(60)
        assert admin.read("node02")["status_name"] == "Failed deployment"
        assert admin.read("node02")["error_description"] == BMC
        admin.op("node02", "release")


@pytest.mark.parametrize("op", ["commission", "test", "rescue_mode"])
def test_an_operation_that_needs_the_bmc_at_once_is_a_500_and_changes_no_status(
    admin: Any, region: SimulatedRegion, op: str
) -> None:
    region.bmc_down("node02")
    answer = admin.op("node02", op)
    assert (answer.status_code, answer.text) == (500, BMC)
    assert admin.read("node02")["status_name"] == "Ready"
    region.bmc_down("node02", down=False)
    assert admin.op("node02", op).status_code == 200


def test_power_requests_fail_while_the_bmc_or_the_rack_is_down(admin: Any, region: SimulatedRegion) -> None:
    """Recorded from MAAS 3.7.3."""
    region.bmc_down("node07")
    answers = [admin.op("node07", "power_off"), admin.get("machines/ywtymp/?op=query_power_state")]
    assert [(each.status_code, each.text) for each in answers] == [(500, BMC)] * 2
    region.rack_down()
    answers = [admin.op("node07", "power_off"), admin.get("machines/ywtymp/?op=query_power_state")]
    assert [(each.status_code, each.text, each.headers["Retry-After"]) for each in answers] == [(503, RACK, "10")] * 2


def test_commissioning_without_a_rack_reverts_and_keeps_the_owner(admin: Any, region: SimulatedRegion) -> None:
    """Recorded from MAAS 3.7.3."""
    region.rack_down()
    answer = admin.op("node03", "commission")
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (503, RACK, "10")
    machine = admin.read("node03")
    assert (machine["status_name"], machine["owner"], machine["error_description"]) == ("Ready", "admin", "")
    assert "Aborting COMMISSIONING and reverting to READY" in machine["status_message"]


def test_an_abort_that_cannot_switch_off_changes_nothing(admin: Any, region: SimulatedRegion) -> None:
    admin.op("node02", "deploy")
    region.bmc_down("node02")
    assert admin.op("node02", "abort").status_code == 500
    assert region.machine("node02").status_name == "Deploying"


def test_the_error_for_an_unknown_rack_lists_the_racks(region: SimulatedRegion) -> None:
    with pytest.raises(KeyError, match="there is no rack controller 'x'; the rack controllers are: bwdhs4"):
        region.rack_down("x")


def test_changing_the_speed_does_not_make_time_jump(region: SimulatedRegion, clock: Any) -> None:
    start = region.now()
    clock.pass_(10)
    region.set_speed(60)
    assert region.now() == start + 10
    clock.pass_(1)
    region.set_speed(1)
    assert region.now() == start + 70
    clock.pass_(5)
    region.play()
    assert region.now() == start + 75


def test_a_stopped_clock_advances_by_hand_and_continues_from_there(region: SimulatedRegion, clock: Any) -> None:
    region.set_speed(0)
    region.deploy("node02", "admin")
    clock.pass_(100_000)
    assert region.machine("node02").status_name == "Deploying"
    before = region.now()
    region.advance(900)
    assert region.now() == before + 900
    assert region.machine("node02").status_name == "Deployed"
    region.set_speed(1)
    clock.pass_(2)
    region.play()
    assert region.now() == before + 902


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 1e4))))
def test_time_is_the_sum_of_the_time_at_each_speed(steps: list[tuple[float, float, float]]) -> None:
    real, expected, last = 0.0, 0.0, 0.0
    schedule = Schedule(lambda: real, 1.0, epoch=0.0)
    for speed, passed, advanced in steps:
        schedule.speed = speed
        assert schedule.now >= last
        real += passed
        schedule.advance(advanced)
        expected += passed * speed + advanced
        last = schedule.now
    assert last == pytest.approx(expected)


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
def test_a_bad_speed_or_length_of_time_is_rejected(region: SimulatedRegion, value: float) -> None:
    with pytest.raises(ValueError, match="a speed must be a finite number, 0 or more"):
        region.set_speed(value)
    with pytest.raises(ValueError, match="the length of time must be a finite number, 0 or more"):
        region.advance(value)
