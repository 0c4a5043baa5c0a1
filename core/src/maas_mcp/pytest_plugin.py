"""pytest's way to :mod:`maas_mcp.testing`: imports nothing of it before a test asks for the fixture."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from maas_mcp.testing import MaasRegion


@pytest.fixture
def maas_region() -> "Iterator[MaasRegion]":
    """A simulated MAAS region of the test's own, and maas-mcp to run a plugin's tools on it."""
    from maas_mcp.testing import MaasRegion  # noqa: PLC0415 - a second that other tests need not take

    with MaasRegion() as region:
        yield region
