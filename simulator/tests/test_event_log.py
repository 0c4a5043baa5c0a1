"""The event log's index by machine gives the same result as a scan of all events."""

from hypothesis import given
from hypothesis import strategies as st

from maas_simulator.model.events import FIRST_ID, Event, EventLog

MACHINES = ("a", "b", "c")
NAMES = st.sampled_from(MACHINES)
IDS = st.none() | st.integers(FIRST_ID - 2, FIRST_ID + 42)


@given(st.lists(NAMES, max_size=40), st.lists(NAMES, unique=True), st.integers(0, 10), IDS, IDS)
def test_a_query_by_machine_equals_a_scan_of_all_events(
    said: list[str], of: list[str], limit: int, after: int | None, before: int | None
) -> None:
    log = EventLog()
    for name in said:
        log.append(Event(log.next_id, name, name, "unknown", "INFO", 0.0, "Ready", ""))
    bounds = {"after": after} if after is not None else {"before": before}
    indexed = log.query(lambda _event: True, limit=limit, of=of, **bounds)
    scanned = log.query(lambda event: event.system_id in of, limit=limit, **bounds)
    assert indexed == scanned
    ids = [event.id for event in indexed]
    assert ids == sorted(ids, reverse=True)
    assert all((after is None or each > after) for each in ids)
    assert after is not None or before is None or all(each < before for each in ids)


def test_a_query_returns_the_oldest_after_a_cursor_and_else_the_newest() -> None:
    log = EventLog()
    for _ in range(10):
        log.append(Event(log.next_id, "a", "a", "unknown", "INFO", 0.0, "Ready", ""))
    for of in (None, ["a"]):
        assert [each.id for each in log.query(lambda _: True, limit=2, after=503, of=of)] == [505, 504]
        assert [each.id for each in log.query(lambda _: True, limit=2, of=of)] == [510, 509]
        assert [each.id for each in log.query(lambda _: True, limit=2, before=505, of=of)] == [504, 503]
