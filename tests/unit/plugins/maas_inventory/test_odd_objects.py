"""Unreadable values in one object: they are named, and hide no other object and no other field."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from maas_inventory.objects.catalogue import KINDS
from maas_inventory.objects.completing import simplify
from maas_inventory.objects.listing import ListObjects
from maas_inventory.objects.reading import Objects, objects_of
from maas_inventory.objects.selecting import after, place, select, sort
from maas_mcp.maas.reading import JSON
from maas_mcp.testing import MaasRegion
from tests.odd import json_values, spoilt
from tests.unit.plugins.maas_inventory.samples import answer_of, many


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


@pytest.mark.parametrize("answer", [None, [], 5, {"ranges": "x"}, {"num_available": "many", "usage_string": None}])
def test_unreadable_statistics_are_named_and_hide_no_subnet(answer: JSON) -> None:
    with MaasRegion() as region, spoilt(lambda path, real: answer if path == "subnets/1/" else real):
        page = region.call(ListObjects, kind="subnet")
        details = region.call(ListObjects, kind="subnet", details=True)

    assert len(page.items) == len(details.items) == 3
    assert any("subnet pxe (1)" in each for each in page.unreadable)
    assert any("subnet pxe (1)" in each for each in details.unreadable)


def test_many_unreadable_objects_are_named_in_a_few_sentences() -> None:
    tags = many("tag", 1_000)
    for tag in tags[:900]:
        tag["name"] = None
    for tag in tags[900:]:
        tag["comment"] = 5
    with MaasRegion() as region, spoilt(lambda path, real: tags if path == "tags/" else real):
        page = region.call(ListObjects, kind="tag")

    assert page.total == 100
    assert page.unreadable[0] == "entry 1: `name` cannot be read, so this tag is left out."
    assert any(each.endswith("more tags.") for each in page.unreadable)
    assert any(each.endswith("`comment` cannot be read.") for each in page.unreadable)
    assert sum(map(len, page.unreadable)) < 1_000
