"""The rolling resync of ten thousand machines takes its share of MAAS's time."""

import pytest

from maas_inventory.informer.resync import SHORTEST_ROUND, Resync
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


@pytest.mark.parametrize(("count", "minutes"), [(1_000, 13), (10_000, 133)])
def test_a_round_uses_its_share_of_one_worker(count: int, minutes: float) -> None:
    snapshot, resync, now, busy = snapshot_of(count), Resync(0.05), 0.0, 0.0
    for _ in range(50):
        resync.note_read(50, 2.0)
    while snapshot.oldest(snapshot.rows.values(), 0.0) <= 0.0:
        now = max(now, resync.due(snapshot, ()))
        chosen = resync.choose(snapshot, (), (), now)
        asked, seconds = now, 0.04 * len(chosen)
        now, busy = now + seconds, busy + seconds
        for name in chosen:
            snapshot.put(snapshot.rows[name], asked, now)
        resync.spend(len(chosen), seconds, now)

    assert busy / now <= 0.051
    assert now == pytest.approx(minutes * 60 + SHORTEST_ROUND, rel=0.2)
    assert now - SHORTEST_ROUND <= resync.round_seconds(count) <= minutes * 60 * 1.2
