"""Rows: what is read of MAAS's machines, and how odd values are read."""

import json
import math
from typing import Any

import pytest

from maas_inventory.informer.rows import Row, RowReader, Rows
from maas_mcp.api import Machine
from maas_mcp.maas.text import visible_json
from maas_simulator import demo_region
from maas_simulator.http.render import machine_json

REGION = demo_region(speed=0.0)
MACHINES: list[dict[str, Any]] = [machine_json(REGION, each) for each in REGION.machines.values()]
FIELDS = sorted(MACHINES[0])
SAME_AS_MACHINE = [name for name in Row.__struct_fields__ if name in Machine.model_fields]


def read(*machines: Any) -> Rows:
    return RowReader().read_body(visible_json(json.dumps(machines).encode()))


def test_a_row_has_the_values_of_a_machine() -> None:
    for row, sent in zip(read(*MACHINES).rows, MACHINES, strict=True):
        machine = Machine.from_response(sent)
        for name in SAME_AS_MACHINE:
            value = getattr(machine, name)
            assert getattr(row, name) == (tuple(value) if isinstance(value, list) else value), name


def test_a_row_has_the_mac_addresses_of_all_interfaces() -> None:
    sent = {**MACHINES[0], "interface_set": [{"mac_address": "52:54:00:AA:02:01"}, {"mac_address": None}]}

    assert read(sent).rows[0].mac_addresses == ("52:54:00:aa:02:01",)


def test_all_recorded_machines_are_read_without_a_default() -> None:
    assert all(not row.unreadable for row in read(*MACHINES).rows)


def test_an_unreadable_lock_and_owner_are_the_safe_ones() -> None:
    (row,) = read({**MACHINES[0], "locked": "perhaps", "owner": 7}).rows

    assert (row.locked, row.owner, set(row.unreadable)) == (True, "an unknown user", {"locked", "owner"})


def test_only_the_odd_part_of_a_list_is_missing() -> None:
    (row,) = read({**MACHINES[0], "tag_names": ["gpu", 3], "interface_set": [7, {"mac_address": "aa:bb"}]}).rows

    assert (row.tag_names, row.mac_addresses) == (("gpu",), ("aa:bb",))
    assert set(row.unreadable) == {"tag_names", "interface_set"}


@pytest.mark.parametrize("entry", [None, 3, "text", [], {}, {"system_id": "4y3h7n"}, {"system_id": "A/B", "status": 4}])
def test_a_machine_without_id_or_status_is_left_out_and_named(entry: Any) -> None:
    found = read(MACHINES[0], entry, MACHINES[1])

    assert [row.system_id for row in found.rows] == [each["system_id"] for each in MACHINES[:2]]
    assert found.left_out[0].name in ("entry 2", "4y3h7n")
    assert found.may_hide("4y3h7n")


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[", b"<html>", b"[" * 100_000, b"\xff"])
def test_a_response_that_is_no_list_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any
        RowReader().read_body(body)


def test_numbers_that_only_python_accepts_are_read() -> None:
    body = json.dumps([{**MACHINES[0], "storage": math.nan, "cpu_count": 10**400}, MACHINES[1]]).encode()
    found = RowReader().read_body(body)

    assert [row.hostname for row in found.rows] == ["node01", "node02"]
    assert found.rows[0].unreadable == ("storage",)


def test_rows_share_equal_strings_and_lists() -> None:
    first, second = read({**MACHINES[0], "tag_names": ["a", "b"]}, {**MACHINES[1], "tag_names": ["a", "b"]}).rows

    assert first.architecture is second.architecture
    assert first.tag_names is second.tag_names


def test_sharing_needs_bounded_memory() -> None:
    reader = RowReader()
    for number in range(20_000):
        reader.read_list([{"system_id": "4y3h7n", "status": 4, "owner": f"user{number}"}])

    assert len(reader._shared) <= 4_096
