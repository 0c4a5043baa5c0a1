"""Two clients of one server: each cancels only its own calls, even with equal request ids."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from maas_mcp.calls.host import Host
from maas_mcp.plugins.registry import AnyTool, load_registry
from maas_mcp.server.app import build
from maas_mcp.server.incoming import Incoming
from maas_mcp.settings import Settings
from maas_mcp.testing import MaasRegion

pytestmark = pytest.mark.anyio

Message = types.JSONRPCRequest | types.JSONRPCNotification


@dataclass
class Client:
    """One connection with its raw messages."""

    sending: MemoryObjectSendStream[SessionMessage | Exception]
    received: MemoryObjectReceiveStream[SessionMessage]
    answers: dict[object, Any] = field(default_factory=dict)

    async def send(self, method: str, params: dict[str, Any], request_id: int | None = None) -> None:
        message: Message = (
            types.JSONRPCNotification(jsonrpc="2.0", method=method, params=params)
            if request_id is None
            else types.JSONRPCRequest(jsonrpc="2.0", id=request_id, method=method, params=params)
        )
        await self.sending.send(SessionMessage(message))

    async def call(self, request_id: int, tool: str, **arguments: Any) -> None:
        await self.send("tools/call", {"name": tool, "arguments": arguments}, request_id)

    async def listen(self) -> None:
        async for item in self.received:
            if isinstance(item.message, types.JSONRPCResponse):
                self.answers[item.message.id] = item.message.result


@dataclass
class Site:
    """A region, and two clients of one server."""

    region: MaasRegion
    one: Client
    other: Client

    def deploying(self, name: str) -> str:
        return str(self.region.machine(name).status_name)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    with MaasRegion() as region:
        async with region.host() as host, AsyncExitStack() as open_streams, anyio.create_task_group() as tasks:

            @asynccontextmanager
            async def running(_settings: Settings, tools: Mapping[str, AnyTool], *_: object) -> AsyncIterator[Host]:
                host.host.serve(tools)
                yield host.host

            connections = host.host.connections
            server = build(load_registry(), host.settings, connections, running)

            async def client() -> Client:
                to_server, at_server = anyio.create_memory_object_stream[SessionMessage | Exception](100)
                to_client, at_client = anyio.create_memory_object_stream[SessionMessage](100)
                for stream in (to_server, at_server, to_client, at_client):
                    open_streams.callback(stream.close)
                options = server.create_initialization_options()
                tasks.start_soon(server.run, Incoming(at_server, connections.connect()), to_client, options)
                made = Client(to_server, at_client)
                tasks.start_soon(made.listen)
                info = {"name": "test", "version": "1"}
                hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
                await made.send("initialize", hello, 0)
                await made.send("notifications/initialized", {})
                return made

            yield Site(region, await client(), await client())
            tasks.cancel_scope.cancel()


async def both_deploy(site: Site) -> None:
    """Start a deployment from each client, with equal request ids and ``on_cancel=abort``."""
    for client, name in ((site.one, "node01"), (site.other, "node02")):
        system_id = site.region.machine(name).system_id
        await client.call(7, "maas_deploy_machine", system_id=system_id, on_cancel="abort")
    await anyio.sleep(30)
    assert site.deploying("node01") == site.deploying("node02") == "Deploying"


async def test_cancelling_a_request_aborts_only_the_clients_own_operation(site: Site) -> None:
    await both_deploy(site)

    await site.one.send("notifications/cancelled", {"requestId": 7})
    await anyio.sleep(30)

    assert site.deploying("node01") == "Allocated"
    assert site.deploying("node02") == "Deploying"
    await anyio.sleep(1200)
    assert site.other.answers[7]["structuredContent"]["state"] == "succeeded"


async def test_a_lost_client_aborts_nothing_and_affects_no_other_client(site: Site) -> None:
    await both_deploy(site)

    await site.one.sending.aclose()
    await anyio.sleep(30)

    assert site.deploying("node01") == site.deploying("node02") == "Deploying"
    await site.other.send("notifications/cancelled", {"requestId": 7})
    await anyio.sleep(30)
    assert site.deploying("node01") == "Deploying"
    assert site.deploying("node02") == "Allocated"


async def test_the_cancel_tool_ends_the_following_calls_of_every_connection(site: Site) -> None:
    system_id = site.region.machine("node01").system_id
    await site.one.call(1, "maas_deploy_machine", system_id=system_id, wait_seconds=0)
    await anyio.sleep(5)
    operation_id = site.one.answers[1]["structuredContent"]["operation_id"]
    await site.one.call(2, "maas_wait_operation", operation_id=operation_id)
    await site.other.call(2, "maas_wait_operation", operation_id=operation_id)
    await anyio.sleep(5)

    await site.other.call(3, "maas_cancel_operation", operation_id=operation_id)
    await anyio.sleep(5)

    assert site.one.answers[2]["isError"]
    assert site.other.answers[2]["isError"]
    assert site.deploying("node01") == "Deploying"
