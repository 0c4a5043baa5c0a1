"""Wrong stored power states, and machines that are power-cycled on power-on."""

from typing import Any, get_args

import pytest

from maas_simulator import SimulatedRegion
from maas_simulator.model.power import BmcMode, PowerState

STATES = get_args(PowerState)


def asked(admin: Any, region: SimulatedRegion, name: str) -> Any:
    return admin.get(f"machines/{region.machine(name).system_id}/?op=query_power_state")


@pytest.mark.parametrize("real", STATES)
@pytest.mark.parametrize("stored", STATES)
def test_a_query_stores_the_power_state_from_the_bmc(
    admin: Any, region: SimulatedRegion, stored: PowerState, real: PowerState
) -> None:
    region.set_power("node07", stored=stored, real=real)
    assert admin.read("node07")["power_state"] == stored
    assert asked(admin, region, "node07").json() == {"state": real}
    assert admin.read("node07")["power_state"] == real


@pytest.mark.parametrize(
    ("mode", "status", "stored"),
    [("down", 500, "on"), ("no query", 500, "on"), ("unroutable", 500, "unknown"), (None, 503, "unknown")],
)
def test_a_query_works_again_after_the_failure(
    admin: Any, region: SimulatedRegion, mode: Any, status: int, stored: str
) -> None:
    if mode is None:
        region.rack_down()
    else:
        region.bmc_down("node07", mode=mode)
    assert asked(admin, region, "node07").status_code == status
    assert admin.read("node07")["power_state"] == stored
    region.clear_plans()
    assert asked(admin, region, "node07").json() == {"state": "on"}
    assert admin.read("node07")["power_state"] == "on"


WORKS: dict[BmcMode, tuple[str, str, str]] = {
    "down": ("no", "no", "no"),
    "no on": ("no", "yes", "yes"),
    "no off": ("yes", "no", "yes"),
    "no query": ("switches", "switches", "no"),
    "stays off": ("if on", "yes", "yes"),
    "stays on": ("yes", "if off", "yes"),
    "unroutable": ("no", "no", "no"),
}
"""Whether switching on, switching off and a query work."""


@pytest.mark.parametrize("real", ["on", "off"])
@pytest.mark.parametrize("mode", WORKS)
def test_a_bmc_may_fail_in_one_way_only(admin: Any, region: SimulatedRegion, mode: BmcMode, real: PowerState) -> None:
    on, off, query = WORKS[mode]
    machine = region.machine("node07")
    machine.power_type = "webhook"  # It never restarts a machine.
    region.bmc_down("node07", mode=mode)
    for command, works in (("on", on), ("off", off)):
        region.set_power("node07", stored=real, real=real)
        answer = admin.op("node07", f"power_{command}")
        assert (answer.status_code == 200) == (works in ("yes", f"if {real}")), command
        assert machine.real_power == (command if works in ("yes", "switches") else real)
    assert (asked(admin, region, "node07").status_code == 200) == (query == "yes")


@pytest.mark.parametrize("state", ["on", "off"])
@pytest.mark.parametrize("stored", STATES)
def test_switching_a_machine_corrects_the_stored_power_state(
    admin: Any, region: SimulatedRegion, clock: Any, stored: PowerState, state: str
) -> None:
    region.set_power("node07", stored=stored, real="off")
    assert admin.op("node07", f"power_{state}").status_code == 200
    clock.pass_(60)
    assert admin.read("node07")["power_state"] == state
    assert asked(admin, region, "node07").json() == {"state": state}


@pytest.mark.parametrize(("stored", "status"), [("unknown", 500), ("error", 500), ("on", 500), ("off", 200)])
def test_a_release_switches_off_a_machine_unless_maas_knows_it_is_off(
    admin: Any, region: SimulatedRegion, stored: PowerState, status: int
) -> None:
    region.set_power("node07", stored=stored, real="on")
    region.bmc_down("node07")
    assert admin.op("node07", "release").status_code == status


def test_an_operation_stops_when_the_machine_loses_power(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    admin.op("node02", "deploy")
    clock.pass_(200)
    cursor = admin.cursor()
    region.set_power("node02", real="off")
    clock.pass_(1200)
    assert admin.read("node02")["power_state"] == "on"
    assert [event for event in admin.said("node02", cursor) if "cloudinit" not in event[2]] == []
    assert admin.read("node02")["status_name"] == "Deploying"


def test_ipmi_power_cycles_a_machine_that_is_already_on(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    admin.op("node07", "power_on")
    machine = region.machine("node07")
    assert machine.power_cycles == 1
    assert region.run_of(machine) is not None, "it boots again"
    clock.pass_(60)
    assert admin.read("node07")["power_state"] == "on"


@pytest.mark.parametrize(
    ("power_type", "real", "cycles"), [("ipmi", "off", 0), ("webhook", "on", 0), ("webhook", "off", 0)]
)
def test_no_other_machine_is_power_cycled(
    admin: Any, region: SimulatedRegion, power_type: str, real: PowerState, cycles: int
) -> None:
    region.machine("node07").power_type = power_type
    region.set_power("node07", stored="on", real=real)
    admin.op("node07", "power_on")
    assert region.machine("node07").power_cycles == cycles


def test_a_wrong_stored_off_does_not_prevent_a_power_cycle(admin: Any, region: SimulatedRegion) -> None:
    region.set_power("node07", stored="off", real="on")
    admin.op("node07", "power_on")
    assert region.machine("node07").power_cycles == 1


def test_a_bmc_that_is_down_power_cycles_nothing(admin: Any, region: SimulatedRegion) -> None:
    region.bmc_down("node07")
    assert admin.op("node07", "power_on").status_code == 500
    assert region.machine("node07").power_cycles == 0


def test_the_control_reports_stale_power_states_and_power_cycles(control: Any, admin: Any) -> None:
    assert control("GET", "/power") == (200, {"machines": []})
    stale = {"machine": "node07", "stored": "unknown", "real": "on", "cycles": 0}
    assert control("PUT", "/power", {"machine": "node07", "stored": "unknown"}) == (200, {"machines": [stale]})
    admin.op("node07", "power_on")
    cycled = stale | {"stored": "on", "cycles": 1}
    assert control("GET", "/power") == (200, {"machines": [cycled]})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"machine": "node07"}, "set stored, real or both"),
        ({"machine": "node07", "real": "broken"}, "real: Input should be 'on', 'off', 'unknown' or 'error'"),
        ({"machine": "x", "real": "on"}, "there is no machine 'x'"),
    ],
)
def test_a_bad_power_state_is_rejected(control: Any, given: Any, words: str) -> None:
    assert words in control.refused("PUT", "/power", given)
