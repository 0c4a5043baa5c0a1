"""Listeners of all events: each event once, unless the news say that they are incomplete."""

from dataclasses import dataclass

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.operations.event_news import IDLE
from maas_mcp.operations.watching import event_feed as feed
from tests.unit.core.operations.event_log import EventLog, Written, written_log
from tests.unit.core.operations.following import Received, listening, scene

OURS = "a"


OTHER_MACHINE = "z"


@dataclass(frozen=True)
class Story:
    """Events in the order of their ids, with an outage, a follower of one machine, and limits of the feed."""

    events: list[Written]
    outage: tuple[float, float]
    followed: tuple[float, float]
    few: int
    limit: int
    pages: int

    async def received(self) -> tuple[EventLog, Received, list[int]]:
        """Play the story."""
        log, written = written_log((OURS, OTHER_MACHINE), self.events, self.outage)
        _, ends = self.outage
        async with scene(log) as s:
            with listening(s) as received:
                await anyio.sleep_until(self.followed[0])
                reported = s.follow(OURS, cursor=0)
                await anyio.sleep(self.followed[1])
                await anyio.sleep_until(max(anyio.current_time(), ends, written) + 30)
                reported.leave()
                await anyio.sleep(2 * IDLE + 1)
        return log, received, reported.events


stories = st.builds(
    Story,
    st.lists(
        st.builds(Written, st.sampled_from((OURS, OTHER_MACHINE)), st.sampled_from([0, 0.1, 1, 7]), st.floats(0, 9.9)),
        max_size=30,
    ),
    st.tuples(st.floats(0, 60), st.floats(0, 60)),
    st.tuples(st.floats(0, 60), st.floats(1, 60)),
    st.sampled_from([0, 50]),
    st.sampled_from([3, 1000]),
    st.sampled_from([1, 5]),
)


@given(stories)
def test_each_event_is_received_once_unless_the_news_are_incomplete(story: Story) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "MAX_BY_ID", story.few)
        patch.setattr(feed, "MAX_EVENTS", story.limit)
        patch.setattr(feed, "MANY_UNFOLLOWED", 3)
        patch.setattr(feed, "MAX_TAIL_PAGES", story.pages)
        clock = trio.testing.MockClock(autojump_threshold=0)
        log, received, followed = trio.run(story.received, clock=clock)

    assert len(received.events) == len(set(received.events))
    later = {number for number in log.events if log.visible_at[number] > received.gaps[-1]}
    assert later <= set(received.events)
    assert not {number for number in received.events if log.visible_at[number] <= received.times[0]}
    assert set(followed) == {number for number, each in log.events.items() if each["node"] == OURS}
