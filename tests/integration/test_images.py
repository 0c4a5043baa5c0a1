"""An image import, as a client sees it: an operation of the region, not of a machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.driver import Driver, Message, serving_stdio


@pytest.fixture
def region() -> SimulatedRegion:
    return demo_region(speed=0.0)


@pytest.fixture
def server(region: SimulatedRegion, tmp_path: Path) -> Iterator[Driver]:
    with serving(region) as url, serving_stdio(url, region.api_key, MAAS_MCP_STATE_DIR=str(tmp_path)) as driver:
        yield driver


def content(result: Message) -> dict[str, Any]:
    assert not result.get("isError"), result
    structured: dict[str, Any] = result["structuredContent"]
    return structured


def test_an_import_can_be_started_listed_and_read_by_its_id(server: Driver, region: SimulatedRegion) -> None:
    assert content(server.call("maas_list_operations"))["operations"] == []
    ops = [each.op for each in region.requests if "boot-resources" in each.path]
    assert ops == ["is_importing"], "with no running import, one request suffices"

    started = content(server.call("maas_import_images", wait_seconds=0))
    (listed,) = content(server.call("maas_list_operations"))["operations"]
    again = content(server.call("maas_import_images"))

    assert (started["state"], started["result"]) == ("working", None)
    assert "not started again" in again["message"]
    for each in (started, listed, again):
        assert each["operation_id"].startswith("maas_import_images.region.")
        assert content(server.call("maas_get_operation", operation_id=each["operation_id"]))["state"] in {
            "working",
            "succeeded",
        }
    assert [each.op for each in region.requests if each.method == "POST"] == ["import"]


def test_an_import_can_be_aborted(server: Driver, region: SimulatedRegion) -> None:
    started = content(server.call("maas_import_images", wait_seconds=0))

    server.call("maas_cancel_operation", operation_id=started["operation_id"], abort=True)

    assert [each.op for each in region.requests if each.method == "POST"] == ["import", "stop_import"]
    assert not region.images.importing
