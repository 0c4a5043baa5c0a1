"""A server with much in memory does not stop to search all of it for garbage."""

from pathlib import Path

import pytest

from maas_simulator import SimulatedRegion
from tests.integration.driver import serving_stdio
from tests.integration.http_driver import serving_http
from tests.integration.test_plugins import HOOK, install_plugin

COUNTING = """
import gc

class Count(BaseModel):
    count: int

class Searches(Tool[Nothing, Count]):
    "Count the searches of the whole memory while objects are created that stay in use."
    name = "acme_searches"

    async def run(self, ctx, args):
        before = gc.get_stats()[-1]["collections"]
        used = [[] for _ in range(200_000)]
        return Count(count=gc.get_stats()[-1]["collections"] - before)
""" + HOOK.format("Searches")


@pytest.mark.parametrize("serving", [serving_stdio, serving_http], ids=["stdio", "http"])
def test_many_objects_in_use_cause_no_search_of_the_whole_memory(
    region: SimulatedRegion, url: str, tmp_path: Path, serving: type
) -> None:
    with serving(url, region.api_key, PYTHONPATH=install_plugin(tmp_path, COUNTING)) as server:
        assert server.call("acme_searches")["structuredContent"] == {"count": 0}
