"""A region, and an engine whose default operation is a deployment."""

from collections.abc import AsyncIterator

import pytest

from maas_deploy.deploy import Deploy
from tests.house import House, opened


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Runs deployments by default."""
    async with opened(Deploy) as house:
        yield house
