"""What the inventory plugin shows of machines."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from maas_inventory.plugin import GetMachine, ListMachines, MachineFilter
from maas_mcp.api import CancellationToken, MaasNotFoundError, ProgressReporter, Tool, ToolContext
from maas_mcp.operations.progress import Progress
from maas_mcp.plugins.registry import load_registry
from maas_mcp.simulator import Region, demo_region
from tests.house import client_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def region() -> Region:
    return demo_region(speed=1.0, clock=anyio.current_time)


@pytest.fixture
async def ctx(region: Region) -> AsyncIterator[ToolContext]:
    async def silent(_progress: Progress) -> None: ...

    maas = client_of(region)
    yield ToolContext(maas, ProgressReporter(silent), CancellationToken())
    await maas.aclose()


async def call(tool: type[Tool[Any, Any]], ctx: ToolContext, **arguments: Any) -> Any:
    return await tool().run(ctx, tool.arguments.model_validate(arguments))


def test_the_plugin_is_found_with_its_tools() -> None:
    (record,) = [record for record in load_registry().records if record.name == "inventory"]

    assert record.tools == ("maas_get_machine", "maas_import_images", "maas_list_images", "maas_list_machines")


async def test_all_machines_are_listed_by_hostname(ctx: ToolContext) -> None:
    page = await call(ListMachines, ctx)

    assert [row.hostname for row in page.machines] == [f"node{number:02}" for number in range(1, 13)]
    assert page.total == 12


async def test_a_machine_in_a_list_takes_little_room(ctx: ToolContext) -> None:
    page = await call(ListMachines, ctx)

    assert len(page.model_dump_json()) / 12 < 450, "MAAS itself takes 19,000 bytes"


async def test_a_status_is_asked_for_by_the_name_that_maas_takes(ctx: ToolContext, region: Region) -> None:
    page = await call(ListMachines, ctx, status=["failed_deployment", "broken"])

    assert [row.hostname for row in page.machines] == ["node11", "node12"]
    assert region.requests[-1].query["status"] == ["failed_deployment", "broken"]


def test_a_status_that_maas_never_sends_is_refused_with_those_it_does() -> None:
    with pytest.raises(ValidationError, match="expected one of new, commissioning, failed_commissioning"):
        MachineFilter.model_validate({"status": ["DEPLOYING"]})


async def test_a_short_page_tells_how_many_there_are(ctx: ToolContext) -> None:
    page = await call(ListMachines, ctx, limit=3)

    assert len(page.machines) == 3
    assert page.total == 12
    assert ListMachines().summary(page).startswith("3 of 12 machines\n")


async def test_a_machine_is_shown_with_what_it_runs(ctx: ToolContext, region: Region) -> None:
    machine = await call(GetMachine, ctx, system_id=region.machine("node07").system_id)

    assert (machine.hostname, machine.status_name, machine.distro_series) == ("node07", "Deployed", "noble")
    assert machine.zone
    assert len(machine.model_dump_json()) < 1200


async def test_a_machine_that_does_not_exist_is_named(ctx: ToolContext) -> None:
    with pytest.raises(MaasNotFoundError, match="zzzzzz"):
        await call(GetMachine, ctx, system_id="zzzzzz")
