"""The event feed: no event is lost or reported twice in any order of commits."""

from dataclasses import dataclass

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.operations.watching import event_feed as feed
from maas_mcp.operations.watching.cadence import Cadence
from tests.unit.core.operations.event_log import EventLog, Written, written_log
from tests.unit.core.operations.following import Reported, scene

OVERLAP = Cadence().overlap


OURS = ("a", "b")


OTHER_MACHINE = "z"


@dataclass(frozen=True)
class Story:
    """Events in the order of their ids, with a late follower, an outage and limits of the feed."""

    events: list[Written]
    joins_at: float
    outage: tuple[float, float]
    few: int
    limit: int

    async def reported(self) -> tuple[EventLog, dict[str, Reported], int]:
        """Play the story."""
        log, written = written_log((*OURS, OTHER_MACHINE), self.events, self.outage)
        _, ends = self.outage
        async with scene(log) as s:
            reported = {node: s.follow(node, cursor=0) for node in OURS}
            await anyio.sleep_until(self.joins_at)
            joined_after = log.newest
            reported["late"] = s.follow("a")
            await anyio.sleep_until(max(self.joins_at, ends, written) + 3 * OVERLAP)
        return log, reported, joined_after


stories = st.builds(
    Story,
    st.lists(
        st.builds(
            Written,
            st.sampled_from((*OURS, OTHER_MACHINE)),
            st.sampled_from([0, 0.1, 1, 7]),
            st.floats(0, OVERLAP - 0.1),
        ),
        max_size=30,
    ),
    st.floats(0, 3 * OVERLAP),
    st.tuples(st.floats(0, 3 * OVERLAP), st.floats(0, 3 * OVERLAP)),
    st.sampled_from([0, 50]),
    st.sampled_from([3, 1000]),
)


@given(stories)
def test_no_event_is_lost_or_reported_twice_in_any_order_of_commits(story: Story) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "MAX_BY_ID", story.few)
        patch.setattr(feed, "MAX_EVENTS", story.limit)
        clock = trio.testing.MockClock(autojump_threshold=0)
        log, reported, joined_after = trio.run(story.reported, clock=clock)

    mine = {node: {each["id"] for each in log.events.values() if each["node"] == node} for node in OURS}
    assert {node: set(reported[node].events) for node in OURS} == mine
    assert set(reported["late"].events) == {number for number in mine["a"] if number > joined_after}
    assert all(len(each.events) == len(set(each.events)) for each in reported.values())
