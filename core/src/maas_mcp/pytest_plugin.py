"""The pytest plugin of :mod:`maas_mcp.testing`, which it imports when a test first uses the fixture."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from maas_mcp.testing import MaasRegion


MARKER = "maas_world"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", f"{MARKER}(file): a YAML file next to the test, with the world of its maas_region"
    )


@pytest.fixture
def maas_region(request: pytest.FixtureRequest) -> "Iterator[MaasRegion]":
    """Provide a new simulated MAAS region that runs a plugin's tools."""
    from maas_mcp.testing import MaasRegion  # noqa: PLC0415 - takes a second, which other tests do not need

    with MaasRegion(_world(request)) as region:
        yield region


def _world(request: pytest.FixtureRequest) -> Path | None:
    marker = request.node.get_closest_marker(MARKER)
    if marker is None:
        return None
    if len(marker.args) != 1 or marker.kwargs:
        raise pytest.UsageError(f"{MARKER} expects one file: @pytest.mark.{MARKER}('world.yaml')")
    return Path(request.path.parent, marker.args[0])
