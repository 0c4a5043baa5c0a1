"""A region, and the kind of operation of a story."""

from collections.abc import AsyncIterator

import pytest

from tests.engine_stories.kinds import Kind
from tests.house import opened
from tests.unit.core.operations.declared import Deploy


@pytest.fixture
async def kind(request: pytest.FixtureRequest) -> AsyncIterator[Kind]:
    """One of the kinds of ``of_each_kind``."""
    chosen: type[Kind] = request.param
    async with opened(Deploy) as house:
        yield chosen(house)
