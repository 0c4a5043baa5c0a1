"""A region and an engine that deploys."""

from collections.abc import AsyncIterator
from importlib.util import find_spec

import pytest

from tests.house import House, opened
from tests.unit.core.operations.declared import Deploy

OF_PLUGINS = [
    "test_aborting_batches.py",
    "test_batches.py",
    "test_diagnosis.py",
    "test_polling.py",
    "test_recorded_timelines.py",
    "test_resuming.py",
    "test_script_polling.py",
]
"""The plugins whose operations are also available."""

collect_ignore = OF_PLUGINS if find_spec("maas_deploy") is None or find_spec("maas_commission") is None else []


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A region with an engine that deploys, unless a test changes it."""
    async with opened(Deploy) as house:
        yield house
