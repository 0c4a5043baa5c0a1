"""The inventory's tools: no JSON in one object hides another."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from maas_inventory.machines.listing import ListMachines, MachinePage
from maas_inventory.objects.catalogue import KINDS
from maas_inventory.objects.completing import simplify
from maas_inventory.objects.reading import Objects, objects_of
from maas_inventory.objects.selecting import after, place, select, sort
from maas_inventory.search.tool import Find, Found
from maas_mcp.api import Machine
from maas_mcp.maas.reading import JSON
from maas_mcp.testing import MaasRegion
from tests.odd import json_values, spoilt, with_odd_machine
from tests.pages import check_page
from tests.unit.plugins.maas_inventory.samples import answer_of


@settings(max_examples=25, deadline=None)
@given(
    odd=st.dictionaries(
        st.sampled_from(["id", "name", "status", "status_name", "exit_status", "starttime", "runtime", "parameters"]),
        json_values,
    )
)
def test_no_json_in_one_script_hides_another(odd: dict[str, JSON]) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        if "current-installation" in path:
            answer["results"] = [{**answer["results"][0], **odd}, *answer["results"], None]
        return answer

    with MaasRegion() as region, spoilt(spoil):
        page = check_page(region.call_tool("maas_get_script_results", machine="node11", kind="installation"))

    assert "/tmp/install.log" in [script["script"] for script in page["scripts"]]
    assert any("`results` cannot be read" in each for each in page["unreadable"])


@settings(max_examples=15, deadline=None)
@given(odd=st.dictionaries(st.sampled_from(["name", "cidr", "id", "vlan", "gateway_ip"]), json_values))
def test_no_json_in_one_subnet_hides_another(odd: dict[str, JSON]) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        return [{**answer[1], **odd}, *answer] if path == "subnets/" else answer

    with MaasRegion() as region, spoilt(spoil):
        found: Found = region.call(Find, text="pxe")
    (subnets,) = [each for each in found.kinds if each.kind == "subnet"]
    assert 1 in [hit.id for hit in subnets.hits]


def names(page: MachinePage) -> list[str]:
    return [machine["hostname"] for machine in page.machines]


@settings(max_examples=25, deadline=None)
@given(odd=st.dictionaries(st.sampled_from(sorted(Machine.model_fields)), json_values))
def test_no_json_in_one_machine_hides_another_from_a_list(odd: dict[str, JSON]) -> None:
    with MaasRegion() as region, spoilt(with_odd_machine(region.machine("node03").system_id, **odd)):
        shown = region.call(ListMachines)

    assert {f"node{number:02}" for number in range(1, 13) if number != 3} <= {*names(shown)}
    assert len(shown.machines) == 12 or len(shown.unreadable) == 1
    assert json.loads(shown.model_dump_json())["machines"]


def set_deeply(target: JSON, path: tuple[str, ...], value: JSON) -> None:
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value


def places_of(entry: JSON, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all values in an object."""
    found = []
    for key, value in entry.items():
        found.append((*prefix, key))
        if isinstance(value, dict):
            found += places_of(value, (*prefix, key))
    return found


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_no_value_in_one_object_hides_another_or_remains_unnamed(kind: str, data: Any) -> None:
    declared = KINDS[kind]
    first = answer_of(kind)[0]
    first = first["vlans"][0] if kind == "vlan" else first
    key = declared.row.identity
    other = {**deepcopy(first), key: 77_777 if isinstance(first[key], int) else "another"}
    odd = deepcopy(first)
    path = data.draw(st.sampled_from(places_of(first)))
    value = data.draw(json_values)
    set_deeply(odd, path, value)
    entries = [odd, other]
    objects = objects_of(declared, [{"vlans": entries}] if kind == "vlan" else entries)

    shown = {row.key: row.shown() for row in objects.rows}
    assert other[key] in shown
    assert len(objects.rows) + len(objects.rows.left_out) == 2
    check_usable(kind, objects)
    if len(shown) < 2:
        return
    (read,) = [row for row in objects.rows if row.key != other[key]]
    before = declared.row.from_response(declared.row.prepare(first)).shown()
    lost = before.keys() - read.shown().keys() - set(read.unreadable)
    assert not lost or value in (None, "", [], {}) or isinstance(value, dict | list)


def check_usable(kind: str, objects: Objects) -> None:
    """Check that all rows can be sorted, selected, continued after any of them, and sent."""
    declared = KINDS[kind]
    for field in declared.row.model_fields:
        rows = sort(declared, select(declared, objects.rows, "*", {}), field)
        assert len(rows) == len(objects.rows)
        for number, row in enumerate(rows):
            assert after(rows, field, place(row, field)) == rows[number + 1 :]
    for row in objects.rows:
        assert to_json(row.shown())
    for entry in objects.entries.values():
        assert to_json(simplify(entry), inf_nan_mode="strings")


@settings(max_examples=15, deadline=None)
@given(answer=json_values)
def test_any_json_in_place_of_a_list_is_refused_in_one_sentence_or_read(answer: JSON) -> None:
    with MaasRegion() as region, spoilt(lambda path, real: answer if path == "zones/" else real):
        result = region.call_tool("maas_list_objects", kind="zone")

    assert result.content
