"""Listing machines and reading one."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from maas_inventory.finding import MachineFilter
from maas_inventory.plugin import GetMachine, ListMachines, MachinePage
from maas_mcp.api import (
    CancellationToken,
    MaasNotFoundError,
    MaasProtocolError,
    Machine,
    MachineStatus,
    ProgressReporter,
    Tool,
    ToolContext,
)
from maas_mcp.maas.reading import JSON
from maas_mcp.operations.progress import Progress
from maas_mcp.plugins.registry import load_registry
from maas_mcp.testing import MaasRegion
from maas_simulator import SimulatedRegion, demo_region
from tests.house import client_of
from tests.odd import json_values, spoilt, with_odd_machine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def region() -> SimulatedRegion:
    return demo_region(speed=1.0, clock=anyio.current_time)


@pytest.fixture
async def ctx(region: SimulatedRegion) -> AsyncIterator[ToolContext]:
    async def silent(_progress: Progress) -> None: ...

    maas = client_of(region)
    yield ToolContext(maas, ProgressReporter(silent), CancellationToken())
    await maas.aclose()


async def call(tool: type[Tool[Any, Any]], ctx: ToolContext, **arguments: Any) -> Any:
    return await tool().run(ctx, tool.arguments.model_validate(arguments))


def test_the_plugin_is_found_with_its_tools() -> None:
    (record,) = [record for record in load_registry().records if record.name == "inventory"]

    assert record.tools == (
        "maas_find",
        "maas_get_events",
        "maas_get_machine",
        "maas_get_script_results",
        "maas_import_images",
        "maas_list_machines",
        "maas_list_objects",
        "maas_whoami",
    )


async def test_all_machines_are_listed_by_hostname(ctx: ToolContext) -> None:
    page = await call(ListMachines, ctx)

    assert [row.hostname for row in page.machines] == [f"node{number:02}" for number in range(1, 13)]
    assert page.total == 12


async def test_a_machine_in_a_list_is_short(ctx: ToolContext) -> None:
    page = await call(ListMachines, ctx)

    assert len(page.model_dump_json()) / 12 < 450, "MAAS itself takes 19,000 bytes"


async def test_a_status_filter_is_sent_in_maass_form(ctx: ToolContext, region: SimulatedRegion) -> None:
    page = await call(ListMachines, ctx, status=["failed_deployment", "broken"])

    assert [row.hostname for row in page.machines] == ["node11", "node12"]
    assert region.requests[-1].query["status"] == ["failed_deployment", "broken"]


def test_an_unknown_status_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="expected one of new, commissioning, failed_commissioning"):
        MachineFilter.model_validate({"status": ["Deployed", "perhaps"]})


async def test_a_limited_list_shows_the_total(ctx: ToolContext) -> None:
    page = await call(ListMachines, ctx, limit=3)

    assert len(page.machines) == 3
    assert page.total == 12
    assert ListMachines().summary(page).startswith("3 of 12 machines\n")


async def test_a_machine_is_shown_with_its_operating_system(ctx: ToolContext, region: SimulatedRegion) -> None:
    machine = await call(GetMachine, ctx, system_id=region.machine("node07").system_id)

    assert (machine.hostname, machine.status_name, machine.distro_series) == ("node07", "Deployed", "noble")
    assert machine.zone
    assert len(machine.model_dump_json()) < 1200


async def test_a_machine_that_does_not_exist_is_named(ctx: ToolContext) -> None:
    with pytest.raises(MaasNotFoundError, match="zzzzzz"):
        await call(GetMachine, ctx, system_id="zzzzzz")


@pytest.mark.parametrize("status", MachineStatus)
def test_a_status_is_accepted_in_any_form_and_case(status: MachineStatus) -> None:
    written = [status.display, status.display.upper(), status.filter_value, status.name, f" {status.display.lower()} "]
    assert MachineFilter.model_validate({"status": written}).status == [status.filter_value] * len(written)


@pytest.mark.parametrize("name", ["node01", "NODE01", "node01.maas", "Node01.MAAS", "node01.maas.", " node01 "])
async def test_a_machine_is_found_by_its_hostname_or_fqdn_in_any_case(
    ctx: ToolContext, region: SimulatedRegion, name: str
) -> None:
    page = await call(ListMachines, ctx, hostname=[name])

    assert [row.hostname for row in page.machines] == ["node01"]
    assert (page.total, page.hint) == (1, None)
    assert len(region.requests) == 1


async def test_a_machine_with_upper_case_in_maas_is_found_by_lower_case(
    ctx: ToolContext, region: SimulatedRegion
) -> None:
    region.machines.rename(region.machine("node01"), "Node01")
    page = await call(ListMachines, ctx, hostname=["node01", "node02"])

    assert sorted(row.hostname for row in page.machines) == ["Node01", "node02"]
    assert page.hint is None


async def test_another_domain_does_not_match(ctx: ToolContext) -> None:
    page = await call(ListMachines, ctx, hostname=["node01.example.com"])

    assert page.machines == []
    assert page.hint.startswith("No machine has the hostname node01.example.com.")


async def test_an_unknown_hostname_is_reported_with_the_machines_that_were_found(ctx: ToolContext) -> None:
    page = await call(ListMachines, ctx, hostname=["node02", "nod03"])

    assert [row.hostname for row in page.machines] == ["node02"]
    assert page.hint == "No machine has the hostname nod03. Did you mean node03?"
    assert ListMachines().summary(page).splitlines()[-1] == page.hint


async def test_an_empty_list_repeats_the_filters_and_suggests_a_cause(ctx: ToolContext) -> None:
    page = await call(ListMachines, ctx, status=["Releasing failed"], owner="Admin", zone="default")

    assert (page.machines, page.total) == ([], 0)
    assert page.hint == (
        "No machine matches status=failed_releasing; owner=Admin; zone=default. All filters must match: try fewer. "
        "`owner` must be spelled exactly as in MAAS."
    )
    assert ListMachines().summary(page) == f"0 of 0 machines\n{page.hint}"


async def test_a_hostname_is_searched_among_the_matches_of_the_other_filters(ctx: ToolContext) -> None:
    page = await call(ListMachines, ctx, hostname=["node07"], status=["ready"])

    assert page.hint.startswith("No machine among those that match status=ready has the hostname node07.")


async def test_machines_are_listed_by_their_agent_name(ctx: ToolContext, region: SimulatedRegion) -> None:
    await ctx.maas.post_op("machines/", "allocate", name="node02", agent_name="nightly")
    page = await call(ListMachines, ctx, agent_name="nightly")

    assert [row.hostname for row in page.machines] == ["node02"]
    assert (await call(ListMachines, ctx, agent_name="Nightly")).hint == (
        "No machine matches agent_name=Nightly. `agent_name` must be spelled exactly as in MAAS."
    )
    assert region.requests[-1].query["agent_name"] == ["Nightly"]


async def test_an_unreadable_field_of_one_machine_is_named_and_hides_no_machine(
    ctx: ToolContext, region: SimulatedRegion
) -> None:
    odd = region.machine("node03").system_id
    with spoilt(with_odd_machine(odd, memory="much", ephemeral_deploy=None, tag_names=["gpu", None])):
        page = await call(ListMachines, ctx)
        details = await call(GetMachine, ctx, system_id=odd)

    assert page.total == len(page.machines) == 12
    assert page.unreadable == [f"{odd} (node03): `memory`, `tag_names` cannot be read; a default is shown."]
    assert ListMachines().summary(page).splitlines()[-1] == page.unreadable[0]
    assert details.unreadable == ["ephemeral_deploy", "memory", "tag_names"]
    assert GetMachine().summary(details).endswith("`tag_names` cannot be read; a default is shown.")


async def test_a_machine_that_cannot_be_read_is_left_out_and_named(ctx: ToolContext, region: SimulatedRegion) -> None:
    odd = region.machine("node03").system_id
    with spoilt(with_odd_machine(odd, status=None)):
        page = await call(ListMachines, ctx)
        asked_for = await call(ListMachines, ctx, hostname=["node03"])
        with pytest.raises(MaasProtocolError, match=r"status \("):
            await call(GetMachine, ctx, system_id=odd)

    reported = [f"{odd} (node03): `status` cannot be read, so this machine is left out. It is still in MAAS."]
    assert (len(page.machines), page.total, page.unreadable) == (11, 12, reported)
    assert (asked_for.machines, asked_for.hint, asked_for.unreadable) == ([], None, reported)


async def test_the_same_unreadable_field_of_all_machines_is_one_sentence(ctx: ToolContext) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        for machine in answer if path == "machines/" else []:
            machine["memory"] = None
        return answer

    with spoilt(spoil):
        page = await call(ListMachines, ctx)
    (reported,) = page.unreadable
    assert reported.endswith(" and 2 more: `memory` cannot be read; a default is shown.")


@settings(max_examples=25, deadline=None)
@given(odd=st.dictionaries(st.sampled_from(sorted(Machine.model_fields)), json_values))
def test_no_json_in_one_machine_hides_another_from_a_list(odd: dict[str, JSON]) -> None:
    shown = listed(odd)
    assert shown.total == 12
    assert {f"node{number:02}" for number in range(1, 13) if number != 3} <= {row.hostname for row in shown.machines}
    assert len(shown.machines) == 12 or len(shown.unreadable) == 1
    assert MachinePage.model_validate_json(shown.model_dump_json()).total == 12
    assert ListMachines().summary(shown)


def listed(odd: dict[str, JSON]) -> MachinePage:
    """List the twelve machines, the third one with unreadable fields."""
    with MaasRegion() as region, spoilt(with_odd_machine(region.machine("node03").system_id, **odd)):
        return region.call(ListMachines)
