"""The snapshot: which read counts, how recent rows are, and the journal."""

import pytest
from msgspec.structs import replace

from maas_inventory.informer.rows import Row
from maas_inventory.informer.snapshot import MAX_CHANGES, MAX_GONE, Snapshot

NODE = Row(system_id="4y3h7n", status=4, status_name="Ready", hostname="node04")
DEPLOYED = replace(NODE, status=6, status_name="Deployed")


@pytest.fixture
def snapshot() -> Snapshot:
    found = Snapshot()
    found.put(NODE, 10.0, 11.0)
    found.complete_since = 12.0
    return found


def test_a_read_from_before_the_last_change_does_not_count(snapshot: Snapshot) -> None:
    snapshot.note_change("4y3h7n", 20.0)

    assert not snapshot.put(DEPLOYED, 19.0, 21.0)
    assert snapshot.rows["4y3h7n"] == NODE
    assert snapshot.put(DEPLOYED, 20.0, 21.0)
    assert snapshot.rows["4y3h7n"] == DEPLOYED


def test_an_older_read_does_not_replace_a_newer_one(snapshot: Snapshot) -> None:
    assert not snapshot.put(DEPLOYED, 9.0, 12.0)


def test_a_read_from_before_its_removal_does_not_bring_a_machine_back(snapshot: Snapshot) -> None:
    snapshot.remove("4y3h7n", 20.0, 21.0)

    assert not snapshot.put(NODE, 19.0, 22.0)
    assert not snapshot.rows
    assert snapshot.put(NODE, 23.0, 24.0), "it was added again"


def test_an_answer_from_before_a_change_removes_nothing(snapshot: Snapshot) -> None:
    snapshot.note_change("4y3h7n", 20.0)
    snapshot.remove("4y3h7n", 19.0, 21.0)

    assert "4y3h7n" in snapshot.rows


def test_rows_are_right_up_to_the_last_events_without_a_known_change(snapshot: Snapshot) -> None:
    assert snapshot.right_at(30.0) == 30.0


def test_rows_are_right_up_to_a_change_that_was_not_read_yet(snapshot: Snapshot) -> None:
    snapshot.note_change("4y3h7n", 20.0)

    assert snapshot.right_at(30.0) == 20.0
    snapshot.put(DEPLOYED, 25.0, 26.0)
    assert snapshot.right_at(30.0) == 30.0


def test_after_missed_events_rows_are_right_up_to_their_own_reads(snapshot: Snapshot) -> None:
    snapshot.put(replace(NODE, system_id="7xneda"), 15.0, 16.0)
    snapshot.note_gap(20.0)

    assert snapshot.right_at(30.0) == 10.0
    snapshot.put(NODE, 25.0, 26.0)
    assert snapshot.right_at(30.0) == 15.0


def test_the_journal_has_what_came_changed_and_went(snapshot: Snapshot) -> None:
    snapshot.put(replace(NODE, system_id="7xneda", hostname="node05"), 15.0, 16.0)
    snapshot.put(DEPLOYED, 15.0, 16.0)
    snapshot.patch("4y3h7n", 17.0, owner="alice")
    snapshot.remove("7xneda", 18.0, 19.0)
    changes, complete = snapshot.changes(0)

    assert complete
    assert [(each.number, each.hostname, each.kind) for each in changes] == [
        (1, "node05", "added"),
        (2, "node04", "changed"),
        (3, "node04", "changed"),
        (4, "node05", "removed"),
    ]
    assert [(each.name, each.old, each.new) for each in changes[1].fields] == [("status_name", "Ready", "Deployed")]
    assert [each.number for each in snapshot.changes(2)[0]] == [3, 4]


def test_the_first_list_is_no_change() -> None:
    snapshot = Snapshot()
    snapshot.put(NODE, 10.0, 11.0)

    assert snapshot.last_change == 0


def test_a_read_without_a_change_is_not_in_the_journal(snapshot: Snapshot) -> None:
    snapshot.put(replace(NODE), 20.0, 21.0)

    assert snapshot.last_change == 0


def test_a_full_journal_shows_that_it_is_not_complete(snapshot: Snapshot) -> None:
    for number in range(MAX_CHANGES + 10):
        snapshot.patch("4y3h7n", 20.0 + number, owner=f"user{number}")

    assert len(snapshot.changes(0)[0]) == MAX_CHANGES
    assert not snapshot.changes(9)[1]
    assert snapshot.changes(10)[1]


def test_removed_machines_are_remembered_in_bounded_memory(snapshot: Snapshot) -> None:
    for number in range(MAX_GONE * 3):
        snapshot.put(replace(NODE, system_id=f"m{number}"), 20.0, 21.0)
        snapshot.remove(f"m{number}", 22.0, 23.0)

    assert len(snapshot._gone) == MAX_GONE
