"""The requests themselves are checked, because a tool may declare its machines wrongly."""

from contextlib import suppress
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from maas_mcp.api import Effects, Tool, ToolContext
from maas_mcp.calls.chain import run_call
from maas_mcp.errors import MaasConflictError, RefusedByPolicyError
from maas_mcp.operations.progress import discard_progress
from maas_mcp.policy.configuration import Policy, Protection
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import Host
from maas_simulator import Status

pytestmark = pytest.mark.anyio


class Target(BaseModel):
    path: str
    op: str
    form: dict[str, Any] = {}


class Done(BaseModel):
    answer: Any = None


class Careless(Tool[Target, Done]):
    """Send a request without a word on its machines."""

    name = "acme_send"

    def effects(self, args: Target) -> Effects:  # noqa: ARG002 - that is the carelessness
        return Effects()

    async def run(self, ctx: ToolContext, args: Target) -> Done:
        return Done(answer=await ctx.maas.post_op(args.path, args.op, **args.form))


async def send(host: Host, path: str, op: str, **form: Any) -> None:
    connection = host.host.connections.connect()
    given = {"path": path, "op": op, "form": form}
    await run_call(host.host, Careless(), given, connection=connection, sender=lambda _token: discard_progress)


def protect(host: Host, **rules: Any) -> None:
    settings = host.host.settings.model_copy(update={"policy": Policy(protect=Protection(**rules))})
    host.host.policy.use(settings)


def changes(region: MaasRegion) -> list[str]:
    return [each.path for each in region.requests if each.method == "POST" and "dry_run" not in str(each)]


@pytest.mark.parametrize(
    ("path", "op", "form"),
    [
        ("machines/{id}/", "lock", {}),
        ("nodes/{id}/", "power_off", {}),
        ("machines/", "release", {"machines": ["{id}"]}),
        ("tags/ssd/", "update_nodes", {"remove": ["{id}"]}),
    ],
)
async def test_a_tool_that_hides_its_machine_cannot_change_a_protected_one(
    path: str, op: str, form: dict[str, Any]
) -> None:
    region = MaasRegion()
    node = region.machine("node01").system_id
    filled = {name: [each.format(id=node) for each in value] for name, value in form.items()}
    async with region.host() as host:
        protect(host, hostnames=("node01",))
        with pytest.raises(RefusedByPolicyError, match="node01"):
            await send(host, path.format(id=node), op, **filled)

    assert changes(region) == []


def taken(region: MaasRegion) -> set[str]:
    return {each.hostname for each in region.machines.values() if each.status is Status.ALLOCATED}


async def allocated(region: MaasRegion, **rules: Any) -> list[str]:
    """The machines that MAAS chooses, one call after the other, until none is left."""
    before = taken(region)
    async with region.host() as host:
        protect(host, **rules)
        for _ in region.machines:
            with suppress(MaasConflictError):
                await send(host, "machines/", "allocate")
    return sorted(taken(region) - before)


async def test_maas_chooses_no_machine_with_a_protected_tag() -> None:
    region = MaasRegion()
    everything = await allocated(MaasRegion())
    region.add_tag("protected", "Not to be changed")
    region.machine("node01").tag_names = ("protected",)

    assert "node01" in everything
    assert await allocated(region) == [each for each in everything if each != "node01"]


@pytest.mark.parametrize("rule", ["pools", "zones"])
async def test_maas_chooses_no_machine_of_a_protected_pool_or_zone(rule: str) -> None:
    region = MaasRegion()
    node = region.machine("node01")
    protected = node.pool if rule == "pools" else node.zone

    chosen = await allocated(region, **{rule: (protected, "unknown")})

    assert protected not in {
        region.machine(each).pool if rule == "pools" else region.machine(each).zone for each in chosen
    }


async def test_an_allocation_that_wants_protected_machines_is_refused_with_the_reason() -> None:
    region = MaasRegion()
    async with region.host() as host:
        protect(host, tags=("gpu",))
        with pytest.raises(RefusedByPolicyError, match="Machines with the tag gpu are protected") as refused:
            await send(host, "machines/", "allocate", tags=["ssd", "gpu"])

    assert refused.value.rule == "protect.tags"


async def test_an_allocation_is_refused_if_maas_would_choose_a_protected_hostname() -> None:
    region = MaasRegion()
    async with region.host() as host:
        protect(host, hostnames=("node*",))
        with pytest.raises(RefusedByPolicyError, match="protected"):
            await send(host, "machines/", "allocate")

    assert taken(region) == taken(MaasRegion())


async def test_concurrent_allocations_take_no_machine_with_a_protected_hostname() -> None:
    region = MaasRegion()
    free = [each for each in region.machines.values() if each.status is Status.READY]
    for each in free[1:]:
        region.machines.rename(each, f"db-{each.hostname}")
    before = taken(region)
    async with region.host() as host, anyio.create_task_group() as tasks:
        protect(host, hostnames=("db-*",))

        async def allocate() -> None:
            with suppress(MaasConflictError, RefusedByPolicyError):
                await send(host, "machines/", "allocate")

        tasks.start_soon(allocate)
        tasks.start_soon(allocate)

    assert not [each for each in taken(region) - before if each.startswith("db-")]


async def test_a_mode_that_allows_no_change_refuses_every_request() -> None:
    region = MaasRegion()
    async with region.host() as host:
        host.host.policy.use(host.host.settings.model_copy(update={"mode": "read-only"}))
        with pytest.raises(RefusedByPolicyError, match="read-only"):
            await send(host, "tags/ssd/", "rebuild")
        with pytest.raises(RefusedByPolicyError, match="allows no change"):
            await host.tenant.maas.post_op("tags/ssd/", "rebuild")

    assert changes(region) == []
