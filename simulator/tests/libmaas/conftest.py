"""python-libmaas, an independent client, against a simulated region over real HTTP."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from maas.client import connect

from maas_simulator import SimulatedRegion, demo_region, serving

Story = Callable[[Any], Awaitable[None]]


@pytest.fixture
def region() -> SimulatedRegion:
    """A region in which a deployment takes half a second."""
    return demo_region(speed=1200)


@pytest.fixture
def url(region: SimulatedRegion) -> Iterator[str]:
    with serving(region) as url:
        yield url


@pytest.fixture
def play(region: SimulatedRegion, url: str) -> Callable[[Story], None]:
    """Run a story with a client that has logged in with the administrator's API key."""

    async def logged_in(story: Story) -> None:
        await story(await connect(url, apikey=region.api_key))

    return lambda story: asyncio.run(logged_in(story))
