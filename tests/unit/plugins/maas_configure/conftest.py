"""A region for the tools that configure its machines."""

from collections.abc import AsyncIterator

import pytest

from tests.house import House, opened
from tests.unit.core.operations.declared import Deploy


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A region; its engine deploys, which fills its queue of changes."""
    async with opened(Deploy) as house:
        yield house
