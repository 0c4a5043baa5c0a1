"""pytest's way to :mod:`maas_mcp.testing`: imports nothing of it before a test asks for the fixture."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from maas_mcp.testing import MaasRegion


MARKER = "maas_world"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", f"{MARKER}(file): the world, in a file beside the test's, of its maas_region")


@pytest.fixture
def maas_region(request: pytest.FixtureRequest) -> "Iterator[MaasRegion]":
    """A simulated MAAS region of the test's own, and maas-mcp to run a plugin's tools on it."""
    from maas_mcp.testing import MaasRegion  # noqa: PLC0415 - a second that other tests need not take

    with MaasRegion(_world(request)) as region:
        yield region


def _world(request: pytest.FixtureRequest) -> Path | None:
    marker = request.node.get_closest_marker(MARKER)
    if marker is None:
        return None
    if len(marker.args) != 1 or marker.kwargs:
        raise pytest.UsageError(f"{MARKER} wants one file: @pytest.mark.{MARKER}('world.yaml')")
    return Path(request.path.parent, marker.args[0])
