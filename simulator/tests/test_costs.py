"""How long requests take, with a clock that only the region's waits move."""

from typing import Any

import pytest

from maas_simulator import Costs, SimulatedRegion
from maas_simulator.http import app
from maas_simulator.model.costs import Workers
from maas_simulator.model.costs import cost as request_cost

BMC = 0.5


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of the requests, which take no time in the test."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(app, "_wait", wait)
    return waits


def cost(waited: list[float]) -> float:
    """Return the wait since the last call."""
    total = sum(waited)
    waited.clear()
    return round(total, 3)


def test_requests_take_no_time_by_default(admin: Any, waited: list[float]) -> None:
    admin.get("machines/")
    admin.op("node07", "power_off")
    assert cost(waited) == 0


def test_a_request_costs_its_parts(admin: Any, region: SimulatedRegion, waited: list[float]) -> None:
    node07 = region.machine("node07").system_id
    region.costs = Costs(request=1, machines=10, machine=100, change=1000, bmc=BMC, workers=1000)
    expected = {
        "version/": 1,
        "events/?op=query": 1,
        "machines/?hostname=nohost": 11,
        "machines/?hostname=node01&hostname=node02": 211,
        "machines/zzzzzz/": 1,
        f"machines/{node07}/": 111,
        f"machines/{node07}/?op=query_power_state": 1 + BMC,
    }
    assert {path: (admin.get(path), cost(waited))[1] for path in expected} == expected
    operations = {("node07", "power_off"): 1111 + 3 * BMC, ("node07", "abort"): 1, ("node02", "deploy"): 1111}
    assert {each: (admin.op(*each), cost(waited))[1] for each in operations} == operations


@pytest.mark.parametrize(("mode", "status"), [("slow", 200), ("down", 500)])
def test_a_bmc_may_be_slow(admin: Any, region: SimulatedRegion, waited: list[float], mode: Any, status: int) -> None:
    region.bmc_down("node07", mode=mode, seconds=20)
    assert admin.op("node07", "power_off").status_code == status
    assert cost(waited) == 60
    region.clear_plans()
    admin.op("node07", "power_off")
    assert cost(waited) == 0


def test_requests_wait_for_a_worker() -> None:
    workers = Workers()
    assert [workers.work(0.0, 1.0, 2) for _ in range(5)] == [1, 1, 2, 2, 3]
    assert workers.work(10.0, 1.0, 2) == 1


@pytest.mark.parametrize(
    ("path", "shown", "measured"), [("machines/", 14, 0.7), ("machines/{system_id}/", 1, 0.16), ("events/", 0, 0.015)]
)
def test_reads_take_about_as_long_as_was_measured(path: str, shown: int, measured: float) -> None:
    assert request_cost(Costs.of_maas(), path, changes=False, shown=shown) == pytest.approx(measured, rel=0.4)


def test_the_control_shows_and_changes_the_costs(control: Any, region: SimulatedRegion) -> None:
    assert control("GET", "/costs")[1]["workers"] == 4
    status, shown = control("PUT", "/costs", {"machine": 0.04})
    assert (status, shown["machine"], shown["request"]) == (200, 0.04, 0.0)
    assert region.costs == Costs(machine=0.04)
    assert "workers" in control.refused("PUT", "/costs", {"workers": 0})
