"""What the tests of real clients share: the npm packages, a region, and a server for each transport.

``CI`` requires npm. Elsewhere the tests that need it are skipped without it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.clients.npm import NpmMissingError, NpmPackages, install
from tests.integration.driver import MODERN
from tests.integration.http_driver import serving_http


@pytest.fixture(scope="session")
def npm(request: pytest.FixtureRequest) -> NpmPackages:
    """The installed packages, in a folder that later runs find again."""
    try:
        return install(Path(os.environ.get("NPM_FOLDER") or request.config.cache.mkdir("npm")))
    except NpmMissingError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))


@pytest.fixture
def region() -> SimulatedRegion:
    """Twelve machines. A deployment takes ten seconds, so that a client can cancel it."""
    return demo_region(speed=60.0)


@pytest.fixture
def url(region: SimulatedRegion) -> Iterator[str]:
    """The URL of the region."""
    with serving(region) as url:
        yield url


@pytest.fixture
def http_server(region: SimulatedRegion, url: str) -> Iterator[str]:
    """The URL of a running server."""
    with serving_http(url, region.api_key, MODERN) as running:
        yield f"http://127.0.0.1:{running.port}/mcp"
