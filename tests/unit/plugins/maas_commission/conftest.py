"""A region and an engine that commissions."""

from collections.abc import AsyncIterator

import pytest

from maas_commission.commission import Commission
from tests.house import House, opened


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Commissions, unless a test says otherwise."""
    async with opened(Commission) as house:
        yield house
