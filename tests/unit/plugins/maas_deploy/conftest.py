"""A region and an engine that deploys."""

from collections.abc import AsyncIterator

import pytest

from maas_deploy.deploy import Deploy
from tests.house import House, opened


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Deploys, unless a test says otherwise."""
    async with opened(Deploy) as house:
        yield house
