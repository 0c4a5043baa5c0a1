"""Rows of machines: no JSON in one machine hides another, and each row is read as the machine's model reads it."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from maas_inventory.informer.resync import fits, parts_without_known
from maas_inventory.informer.rows import Row, RowReader, Rows
from maas_mcp.api import Machine
from maas_mcp.maas.text import parse_json, visible_json
from maas_simulator import demo_region
from maas_simulator.http.render import machine_json
from tests.odd import json_values

REGION = demo_region(speed=0.0)


MACHINES: list[dict[str, Any]] = [machine_json(REGION, each) for each in REGION.machines.values()]


FIELDS = sorted(MACHINES[0])


SAME_AS_MACHINE = [name for name in Row.__struct_fields__ if name in Machine.model_fields]


def read(*machines: Any) -> Rows:
    return RowReader().read_body(visible_json(json.dumps(machines).encode()))


@given(number=st.integers(0, 11), name=st.sampled_from([*FIELDS, "a_new_field"]), value=json_values)
def test_an_odd_value_hides_no_other_machine_and_is_named(number: int, name: str, value: Any) -> None:
    odd = {**MACHINES[number], name: value}
    machines = [*MACHINES[:number], odd, *MACHINES[number + 1 :]]
    found = read(*machines)

    others = [row for row in found.rows if row.system_id != MACHINES[number]["system_id"]]
    assert [row for row in read(*MACHINES).rows if row not in others] == [read(*MACHINES).rows[number]]
    assert len(found.rows) + len(found.left_out) == len(machines)
    for row in found.rows[number : number + 1] if not found.left_out else ():
        before = read(MACHINES[number]).rows[0]
        for field in SAME_AS_MACHINE:
            if field != name and (field, name) != ("status_name", "status"):
                assert getattr(row, field) == getattr(before, field), field


@given(value=json_values, name=st.sampled_from(FIELDS))
def test_a_row_is_the_same_from_parsed_json_and_from_text(value: Any, name: str) -> None:
    odd = {**MACHINES[3], name: value}

    text, parsed = read(odd), RowReader().read_list([parse_json(json.dumps(odd).encode())])

    assert text.left_out == parsed.left_out
    assert text.rows == parsed.rows


@given(value=json_values, name=st.sampled_from(FIELDS))
def test_an_odd_value_is_judged_as_by_the_machines_model(value: Any, name: str) -> None:
    odd = parse_json(json.dumps({**MACHINES[3], name: value}).encode())
    found, machines = read(odd), Machine.list_from_response([odd])

    assert [str(each) for each in found.left_out] == [str(each) for each in machines.left_out]
    for row, machine in zip(found.rows, machines, strict=True):
        assert set(machine.unreadable) & set(Row.__struct_fields__) <= set(row.unreadable)
        for field in SAME_AS_MACHINE:
            value = getattr(machine, field)
            if value or field not in ("hostname", "status_name"):
                assert getattr(row, field) == (tuple(value) if isinstance(value, list) else value), field


@given(counts=st.lists(st.integers(0, 900), min_size=1, max_size=5), status=st.integers(0, 30))
def test_every_known_machine_is_excluded_once(counts: list[int], status: int) -> None:
    zones = [f"az{number}" for number in range(len(counts))]
    rows = [
        Row(system_id=f"{zone}m{number}", status=status, status_name="", hostname="", zone=zone, pool="default")
        for zone, count in zip(zones, counts, strict=True)
        for number in range(count)
    ]
    parts = list(parts_without_known(rows, {"zone": zones, "pool": ["default"]}))
    excluded = [name for _, known in parts for name in known]

    assert len(excluded) == len(set(excluded))
    assert all(map(fits, (known for _, known in parts)))
    assert len(excluded) >= sum(count for count in counts if count <= 350)
