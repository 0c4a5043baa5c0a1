"""The rolling resync: its share of MAAS's time, its order, and the search for machines that came without an event."""

import pytest

from maas_inventory.informer.resync import LEAST, MOST, SHORTEST_ROUND, Resync, parts_without_known
from maas_inventory.informer.rows import Row
from maas_inventory.informer.snapshot import Snapshot


def machines(count: int, *, status: int = 6, zone: str = "az1") -> list[Row]:
    return [
        Row(system_id=f"m{number}", status=status, status_name="", hostname=f"m{number}", zone=zone, pool="default")
        for number in range(count)
    ]


def snapshot_of(count: int, read: float = 0.0) -> Snapshot:
    snapshot = Snapshot()
    for row in machines(count):
        snapshot.put(row, read, read)
    return snapshot


def test_a_small_region_is_read_again_in_one_request_every_few_minutes() -> None:
    snapshot, resync = snapshot_of(13), Resync(0.05)

    assert resync.due(snapshot, ()) == SHORTEST_ROUND
    assert len(resync.choose(snapshot, (), (), SHORTEST_ROUND)) == 13


def test_uncertain_machines_come_first_and_at_once() -> None:
    snapshot, resync = snapshot_of(1_000, read=100.0), Resync(0.05)
    snapshot.note_change("m77", 110.0)

    assert resync.due(snapshot, ()) < 110.0
    assert resync.choose(snapshot, (), (), 110.0) == ["m77"]


def test_machines_on_the_page_come_before_older_ones() -> None:
    snapshot, resync = snapshot_of(1_000, read=0.0), Resync(0.05)
    snapshot.put(snapshot.rows["m500"], 300.0, 300.0)

    assert "m500" not in resync.choose(snapshot, (), (), 450.0)
    assert resync.choose(snapshot, (), {"m500"}, 450.0)[0] == "m500"


@pytest.mark.parametrize(("seconds", "size"), [(0.0001, MOST), (0.04, 50), (3.0, LEAST)])
def test_a_slow_region_gets_smaller_requests(seconds: float, size: int) -> None:
    resync = Resync(0.05)
    for _ in range(100):
        resync.note_read(100, 100 * seconds)

    assert resync.request_size == pytest.approx(size, abs=1)


def test_a_small_region_is_searched_in_one_request() -> None:
    ((part, known),) = parts_without_known(machines(400), {})

    assert part.query == {}
    assert len(known) == 400
