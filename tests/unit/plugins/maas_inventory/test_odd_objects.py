"""Unreadable values in one object: they are named, and hide no other object and no other field."""

import pytest

from maas_inventory.objects.catalogue import KINDS
from maas_inventory.objects.listing import ListObjects
from maas_inventory.objects.reading import objects_of
from maas_mcp.maas.reading import JSON
from maas_mcp.testing import MaasRegion
from tests.odd import spoilt
from tests.unit.plugins.maas_inventory.samples import answer_of, many


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


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_object_hides_no_other(kind: str) -> None:
    declared = KINDS[kind]
    first = answer_of(kind)[0]
    first = first["vlans"][0] if kind == "vlan" else first
    key = declared.row.identity
    entries = [{name: value if name == key else [10**400, None] for name, value in first.items()}, first]
    entries[0][key] = 77_777 if isinstance(first[key], int) else "another"

    objects = objects_of(declared, [{"vlans": entries}] if kind == "vlan" else entries)

    assert first[key] in {row.key for row in objects.rows}
    assert len(objects.rows) + len(objects.rows.left_out) == 2


@pytest.mark.parametrize("answer", [None, 7, {"name": 1}, [[None]]])
def test_another_answer_than_a_list_is_refused_in_one_sentence_or_read(answer: JSON) -> None:
    with MaasRegion() as region, spoilt(lambda path, real: answer if path == "zones/" else real):
        result = region.call_tool("maas_list_objects", kind="zone")

    assert result.content
