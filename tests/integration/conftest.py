"""A region and a server for each integration test."""

from collections.abc import Iterator

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.driver import ERAS, Driver, serving_stdio

SPEED = 400.0
"""Simulated seconds per second: a deployment of ten minutes takes about 1.5 s."""


@pytest.fixture(params=ERAS)
def revision(request: pytest.FixtureRequest) -> str:
    """Each supported protocol revision."""
    revision: str = request.param
    return revision


@pytest.fixture
def region() -> SimulatedRegion:
    """Twelve machines, with a fast clock."""
    return demo_region(speed=SPEED)


@pytest.fixture
def still_region() -> SimulatedRegion:
    """Twelve machines with a stopped clock. :func:`advance_to` moves it."""
    return demo_region(speed=0.0)


@pytest.fixture
def url(region: SimulatedRegion) -> Iterator[str]:
    """The region's URL, served over real HTTP."""
    with serving(region) as url:
        yield url


@pytest.fixture
def server(region: SimulatedRegion, url: str, revision: str) -> Iterator[Driver]:
    """A running ``maas-mcp serve``, with a client of each revision."""
    with serving_stdio(url, region.api_key, revision) as driver:
        yield driver
