"""A region and a server for each integration test."""

from collections.abc import Iterator

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.driver import ERAS, Driver, serving_stdio

SPEED = 400.0
"""Simulated seconds a second: a deploy of ten minutes takes about a second and a half."""


@pytest.fixture(params=ERAS)
def revision(request: pytest.FixtureRequest) -> str:
    """Each protocol revision that a client may speak."""
    revision: str = request.param
    return revision


@pytest.fixture
def region() -> SimulatedRegion:
    """Twelve machines, in a hurry."""
    return demo_region(speed=SPEED)


@pytest.fixture
def still_region() -> SimulatedRegion:
    """Twelve machines whose clock stands still: where :func:`bring` has brought one, it is as long as a test needs."""
    return demo_region(speed=0.0)


@pytest.fixture
def url(region: SimulatedRegion) -> Iterator[str]:
    """Where the region is served over real HTTP."""
    with serving(region) as url:
        yield url


@pytest.fixture
def server(region: SimulatedRegion, url: str, revision: str) -> Iterator[Driver]:
    """A running ``maas-mcp serve`` and a client of each revision."""
    with serving_stdio(url, region.api_key, revision) as driver:
        yield driver
