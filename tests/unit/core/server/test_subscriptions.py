"""Subscriptions of sessions before 2026-07-28: bounded, and ended with their session or with a client that stalls."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import mcp_types as types
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from maas_mcp.calls.host import Host
from maas_mcp.plugins.registry import AnyTool, load_registry
from maas_mcp.server.app import build
from maas_mcp.server.incoming import Incoming
from maas_mcp.server.session_subscriptions import MAX_SUBSCRIPTIONS, SEND_LIMIT
from maas_mcp.settings import Settings
from maas_mcp.testing import MaasRegion

pytestmark = pytest.mark.anyio


@dataclass
class Session:
    """A client before 2026-07-28 that reads one message at a time."""

    host: Host
    sending: MemoryObjectSendStream[SessionMessage | Exception]
    receiving: MemoryObjectReceiveStream[SessionMessage]
    ids: int = 0
    notified: list[str] = field(default_factory=list)

    async def send(self, method: str, params: dict[str, Any]) -> None:
        message: types.JSONRPCRequest | types.JSONRPCNotification
        if method.startswith("notifications/"):
            message = types.JSONRPCNotification(jsonrpc="2.0", method=method, params=params)
        else:
            self.ids += 1
            message = types.JSONRPCRequest(jsonrpc="2.0", id=self.ids, method=method, params=params)
        await self.sending.send(SessionMessage(message))

    async def request(self, method: str, **params: Any) -> Any:
        """Send a request, and read up to its response."""
        await self.send(method, params)
        while True:
            message = (await self.receiving.receive()).message
            if isinstance(message, types.JSONRPCNotification):
                self.notified.append((message.params or {})["uri"])
            else:
                assert isinstance(message, types.JSONRPCResponse | types.JSONRPCError)
                return message.error if isinstance(message, types.JSONRPCError) else message.result

    async def next_notified(self) -> str:
        message = (await self.receiving.receive()).message
        assert isinstance(message, types.JSONRPCNotification)
        return str((message.params or {})["uri"])


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    with MaasRegion() as region:
        async with region.host() as test, anyio.create_task_group() as tasks:

            @asynccontextmanager
            async def running(_settings: Settings, tools: Mapping[str, AnyTool], *_: object) -> AsyncIterator[Host]:
                test.host.serve(tools)
                yield test.host

            connections = test.host.connections
            server = build(load_registry(), test.settings, connections, running)
            to_server, at_server = anyio.create_memory_object_stream[SessionMessage | Exception](10)
            to_client, at_client = anyio.create_memory_object_stream[SessionMessage](0)
            with to_server, at_server, to_client, at_client:
                options = server.create_initialization_options()
                tasks.start_soon(server.run, Incoming(at_server, connections.connect()), to_client, options)
                made = Session(test.host, to_server, at_client)
                info = {"name": "test", "version": "1"}
                await made.request("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=info)
                await made.send("notifications/initialized", {})
                yield made
                tasks.cancel_scope.cancel()


def machine(number: int) -> str:
    return f"maas://machines/m{number}"


async def test_a_resource_that_changes_often_waits_as_one_notification(session: Session) -> None:
    for number in (1, 2):
        await session.request("resources/subscribe", uri=machine(number))
    for number in [1, 2] * 5000:
        session.host.updates.announce("", machine(number))

    assert [await session.next_notified() for _ in range(2)] == [machine(1), machine(2)]
    await session.request("ping")
    assert session.notified == []


async def test_a_client_that_does_not_read_loses_its_subscriptions(session: Session) -> None:
    await session.request("resources/subscribe", uri=machine(1))
    session.host.updates.announce("", machine(1))
    await anyio.sleep(SEND_LIMIT + 1)
    assert not session.host.updates.wanted("")

    await session.request("resources/subscribe", uri=machine(2))
    session.host.updates.announce("", machine(2))
    assert await session.next_notified() == machine(2)


async def test_a_closed_session_has_no_subscriptions(session: Session) -> None:
    await session.request("resources/subscribe", uri=machine(1))
    assert session.host.updates.wanted("")
    session.sending.close()
    await anyio.sleep(1)

    assert not session.host.updates.wanted("")


async def test_the_number_of_subscriptions_is_limited(session: Session) -> None:
    for number in range(MAX_SUBSCRIPTIONS):
        assert await session.request("resources/subscribe", uri=machine(number)) == {}
    error = await session.request("resources/subscribe", uri=machine(MAX_SUBSCRIPTIONS))

    assert "Unsubscribe from another resource first" in error.message
    assert await session.request("resources/unsubscribe", uri=machine(0)) == {}
    assert await session.request("resources/subscribe", uri=machine(MAX_SUBSCRIPTIONS)) == {}
