"""Cursors of calls: each tool, caller and region has its own, and any server with the secret continues from them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import BaseModel, SecretStr

from maas_mcp.api import InvalidArgumentsError, Tool, ToolContext
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.host import Host, open_host
from maas_mcp.calls.principal import LOCAL, Principal, Scope
from maas_mcp.maas.address import ApiKey
from maas_mcp.operations.progress import discard_progress
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import SECRET, connector, settings_for

pytestmark = pytest.mark.anyio


class Start(BaseModel):
    cursor: str | None = None


class Count(BaseModel):
    number: int
    next_cursor: str


class Counter(Tool[Start, Count]):
    """Count."""

    name = "acme_count"
    read_only = True

    async def run(self, ctx: ToolContext, args: Start) -> Count:
        number = 0 if args.cursor is None else ctx.cursors.open(args.cursor)["number"]
        return Count(number=number, next_cursor=ctx.cursors.seal({"number": number + 1}))


class OtherCounter(Counter):
    """Count again."""

    name = "acme_count_again"


async def count(
    host: Host, cursor: str | None = None, tool: type[Counter] = Counter, principal: Principal = LOCAL
) -> Count:
    answer = await run_call(
        host,
        tool(),
        {"cursor": cursor},
        connection=host.connections.connect(principal),
        sender=lambda _token: discard_progress,
    )
    assert isinstance(answer.result, Count)
    return answer.result


@asynccontextmanager
async def opened(region: MaasRegion, *secrets: str, **settings: str) -> AsyncIterator[Host]:
    """A server. Its region is the same, whatever its URL is."""
    update = {"secret": tuple(SecretStr(each) for each in secrets or (SECRET,)), **settings}
    async with open_host(
        settings_for(region, "admin").model_copy(update=update), {}, connect=connector(region)
    ) as host:
        yield host


@pytest.fixture
def region() -> MaasRegion:
    return MaasRegion()


async def test_a_list_continues_from_its_cursor_on_any_server_with_the_secret(region: MaasRegion) -> None:
    async with opened(region) as host, opened(region) as other:
        first = await count(host)
        second = await count(other, first.next_cursor)
        assert (first.number, second.number) == (0, 1)


async def test_a_cursor_of_another_tool_is_refused(region: MaasRegion) -> None:
    async with opened(region) as host:
        cursor = (await count(host)).next_cursor
        with pytest.raises(InvalidArgumentsError, match="this tool"):
            await count(host, cursor, OtherCounter)


async def test_a_cursor_of_another_caller_is_refused(region: MaasRegion) -> None:
    bob = Principal("bob", frozenset(Scope), ApiKey.parse(region.api_key_of("bob")))
    async with opened(region) as host:
        cursor = (await count(host)).next_cursor
        with pytest.raises(InvalidArgumentsError):
            await count(host, cursor, principal=bob)
        own = (await count(host, principal=bob)).next_cursor
        assert (await count(host, own, principal=bob)).number == 1


async def test_a_cursor_of_another_region_is_refused(region: MaasRegion) -> None:
    async with opened(region) as host, opened(region, maas_url="http://127.0.0.1:5241/MAAS") as other:
        cursor = (await count(host)).next_cursor
        with pytest.raises(InvalidArgumentsError):
            await count(other, cursor)


async def test_a_replaced_secret_still_opens_cursors_until_it_leaves_the_ring(region: MaasRegion) -> None:
    new = "the secret that replaces the first one"
    async with opened(region) as host, opened(region, new, SECRET) as ring, opened(region, new) as later:
        cursor = (await count(host)).next_cursor
        assert (await count(ring, cursor)).number == 1
        with pytest.raises(InvalidArgumentsError):
            await count(later, cursor)
        assert (await count(later, (await count(ring)).next_cursor)).number == 1
