"""The plan of the first list: every machine belongs to one part, and requests grow or shrink with MAAS's speed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_inventory.informer.filters import Filter
from maas_inventory.informer.loading import MAX_REQUESTS, START, LoadingPlan, Part
from maas_inventory.informer.rows import Row

names = st.lists(st.sampled_from([f"name{number}" for number in range(30)]), min_size=1, max_size=30, unique=True)


def row(**values: Any) -> Row:
    return Row(**{"system_id": "4y3h7n", "status": 4, "status_name": "", "hostname": "", "zone": "az1", **values})


def read_all(plan: LoadingPlan, seconds: float) -> list[Part]:
    parts = []
    while not plan.is_finished:
        parts.append(plan.next([]))
        plan.note_read(parts[-1], seconds)
    return parts


@given(
    zones=names,
    pools=names,
    status=st.integers(0, 40),
    power=st.sampled_from(["on", "off", "unknown", "error"]),
    speed=st.sampled_from([0.1, 5.0, 20.0]),
    too_slow=st.sets(st.integers(0, 40), max_size=10),
    data=st.data(),
)
def test_every_machine_belongs_to_exactly_one_part(  # noqa: PLR0917 - hypothesis passes them by name
    zones: list[str], pools: list[str], status: int, power: str, speed: float, too_slow: set[int], data: st.DataObject
) -> None:
    machine = row(
        zone=data.draw(st.sampled_from(zones)), pool=data.draw(st.sampled_from(pools)), status=status, power_state=power
    )
    plan, holding, turn = LoadingPlan({"zone": zones, "pool": pools}), 0, 0
    while not plan.is_finished:
        part = plan.next([])
        turn += 1
        if turn in too_slow and plan.divide(part):
            continue
        holding += part.holds(machine)
        plan.note_read(part, speed)

    assert holding == 1


@given(zones=names, pools=names)
def test_the_first_list_takes_few_requests(zones: list[str], pools: list[str]) -> None:
    for seconds in (1.0, 200.0):
        plan, requests = LoadingPlan({"zone": zones, "pool": pools}), 0
        while not plan.is_finished:
            part = plan.next([])
            cells = len(part.values.get("zone", zones)) * len(part.values.get("pool", pools))
            plan.note_read(part, 0.16 + seconds * cells / (len(zones) * len(pools)))
            requests += 1

        assert requests <= MAX_REQUESTS + 2 * len(pools)


def test_a_quick_region_with_many_zones_takes_few_requests() -> None:
    space = {"zone": [f"z{number}" for number in range(8)], "pool": ["a", "b"]}

    assert len(read_all(LoadingPlan(space), 0.2)) <= 8


def test_a_region_without_zones_and_pools_takes_a_request_for_each_group_of_statuses() -> None:
    assert read_all(LoadingPlan({}), 0.2) == list(START)


def test_what_a_caller_waits_for_comes_first() -> None:
    plan = LoadingPlan({"zone": ["az1", "az2"], "pool": ["a"]})
    waiting = [Filter(statuses=(6,), zones=("az2",))]
    first = plan.next(waiting)

    assert first.query == {"status": ("deployed",), "zone": ("az2",)}
    plan.note_read(first, 1.0)
    assert not plan.may_match(waiting[0])
    assert not plan.is_finished


def test_the_part_of_unknown_statuses_may_match_any_but_the_common_ones() -> None:
    assert START[0].may_match(Filter(statuses=(11,)))
    assert START[0].may_match(Filter())
    assert not START[0].may_match(Filter(statuses=(4, 6)))
    assert START[0].holds(row(status=99))
    assert not START[0].holds(row(status=4))


def test_a_part_that_is_too_slow_is_divided_until_nothing_divides_it() -> None:
    plan = LoadingPlan({"zone": ["az1", "az2"], "pool": ["a", "b"]})
    deployed = Filter(statuses=(6,))
    divisions = 0
    while plan.divide(part := plan.next([deployed])):
        divisions += 1

    assert part.values == {"status": ("deployed",), "zone": ("az1",), "pool": ("a",), "power_state": ("on",)}
    assert divisions >= 2


@pytest.mark.parametrize("seconds", [0.5, 5.0])
def test_the_fraction_grows_to_one(seconds: float) -> None:
    plan = LoadingPlan({"zone": ["az1", "az2", "az3"], "pool": ["a", "b"]})
    fractions = [plan.fraction]
    while not plan.is_finished:
        plan.note_read(plan.next([]), seconds)
        fractions.append(plan.fraction)

    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
