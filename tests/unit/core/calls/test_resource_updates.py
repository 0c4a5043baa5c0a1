"""Updates reach the subscriptions of their own principal only, and possible values are read once in a while."""

from collections.abc import Mapping, Sequence
from itertools import count

import anyio
import pytest

from maas_mcp.api import Choice, Completion, MaasUnavailableError, Resource, ToolContext
from maas_mcp.calls.completing import FRESH_FOR, MAX_VALUES, ChoiceCache
from maas_mcp.calls.resource_updates import ResourceUpdates


class Console(Resource):
    """The console of a machine."""

    uri = "acme://consoles/{system_id}"
    name = "console"

    async def read(self, ctx: ToolContext, system_id: str) -> str:  # noqa: ARG002 - the host passes it
        return system_id


class Broken(Console):
    """A resource with a fault."""

    uri = "acme://broken/{system_id}"

    def updated_by(self, changed: Mapping[str, str]) -> Sequence[str]:
        raise LookupError(changed)


def test_only_the_subscriptions_of_the_principal_receive_its_updates() -> None:
    updates = ResourceUpdates()
    updates.serve([Broken(), Console()])
    alice: list[str] = []
    other_client: list[str] = []
    bob: list[str] = []
    with (
        updates.subscribed("alice", alice.append),
        updates.subscribed("alice", other_client.append),
        updates.subscribed("bob", bob.append),
    ):
        updates.changed("alice", system_id="7xneda")
        updates.announce("alice", "acme://notes/1")

    updates.changed("alice", system_id="fyc3ff")
    assert alice == other_client == ["acme://consoles/7xneda", "acme://notes/1"]
    assert bob == []
    assert not updates.wanted("alice")


class Machines(Completion):
    """System ids."""

    arguments = ("system_id",)

    async def choices(self, ctx: ToolContext) -> list[Choice | str]:  # noqa: ARG002 - the test reads them itself
        return []


@pytest.mark.anyio
async def test_concurrent_keys_share_one_read_until_it_is_old() -> None:
    cache, reads = ChoiceCache(), count(1)
    read_at: list[float] = []

    async def read() -> list[Choice]:
        await anyio.sleep(1)
        read_at.append(anyio.current_time())
        return [Choice(f"{next(reads)}-node")]

    async with anyio.create_task_group() as keys:
        for typed in ("", "1", "1-"):
            keys.start_soon(cache.complete, Machines(), typed, read)
    assert len(read_at) == 1
    await anyio.sleep(FRESH_FOR)
    assert (await cache.complete(Machines(), "2", read)).values == ["2-node"]


@pytest.mark.anyio
async def test_at_most_100_values_are_offered_with_the_number_of_all() -> None:
    async def read() -> list[Choice]:
        return [Choice(f"m{number}") for number in range(250)]

    found = await ChoiceCache().complete(Machines(), "m", read)
    assert (len(found.values), found.total, found.more) == (MAX_VALUES, 250, True)


@pytest.mark.anyio
async def test_a_failed_read_is_not_kept() -> None:
    cache = ChoiceCache()

    async def fail() -> list[Choice]:
        raise MaasUnavailableError("MAAS is away.")

    async def read() -> list[Choice]:
        return [Choice("m1")]

    with pytest.raises(MaasUnavailableError):
        await cache.complete(Machines(), "", fail)
    assert (await cache.complete(Machines(), "", read)).values == ["m1"]
