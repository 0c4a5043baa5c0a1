"""Requests about tasks need scopes even where no gate has checked them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.shared.message import SessionMessage

from maas_mcp.calls.host import Host
from maas_mcp.calls.principal import Principal, Scope
from maas_mcp.maas.address import ApiKey
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.operations.handles import Handle
from maas_mcp.plugins.registry import AnyTool, load_registry
from maas_mcp.server.app import build
from maas_mcp.server.incoming import Incoming
from maas_mcp.server.task_wire import TaskId
from maas_mcp.settings import Settings
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.answers import Answers

pytestmark = pytest.mark.anyio

META = {
    types.PROTOCOL_VERSION_META_KEY: "2026-07-28",
    types.CLIENT_INFO_META_KEY: {"name": "test", "version": "1"},
    types.CLIENT_CAPABILITIES_META_KEY: {"extensions": {"io.modelcontextprotocol/tasks": {}}},
}


async def answer(region: MaasRegion, principal: Principal, method: str, *, waiting: bool) -> Any:
    """The answer to a request about a task of the principal, which may wait for the user's answers."""
    async with region.host() as test, anyio.create_task_group() as tasks:

        @asynccontextmanager
        async def running(_settings: Settings, tools: Mapping[str, AnyTool], *_: object) -> AsyncIterator[Host]:
            test.host.serve(tools)
            yield test.host

        async with test.host.tenant(principal) as tenant:
            node = region.machine("node01").system_id
            handle = Handle("maas_deploy_machine", node, int(tenant.handle_signer.now()), 1, ())
            operation_id = tenant.handle_signer.sign(handle)
        if waiting:
            test.host.waiting.add(principal.name, operation_id, Answers({}), handle.started)
        connections = test.host.connections
        server = build(load_registry(), test.settings, connections, running)
        to_server, at_server = anyio.create_memory_object_stream[SessionMessage | Exception](10)
        to_client, at_client = anyio.create_memory_object_stream[SessionMessage](10)
        with to_server, at_server, to_client, at_client:
            reading = Incoming(at_server, connections.connect(principal))
            tasks.start_soon(server.run, reading, to_client, server.create_initialization_options())
            task_id = str(TaskId(operation_id, CancelPolicy.ABORT))
            params = {"taskId": task_id, "inputResponses": {}, "_meta": META}
            await to_server.send(
                SessionMessage(types.JSONRPCRequest(jsonrpc="2.0", id=1, method=method, params=params))
            )
            message = (await at_client.receive()).message
            tasks.cancel_scope.cancel()
    return message


@pytest.mark.parametrize(
    ("method", "waiting"), [("tasks/cancel", True), ("tasks/cancel", False), ("tasks/update", True)]
)
async def test_a_principal_without_the_scope_changes_no_task(method: str, waiting: bool) -> None:
    with MaasRegion() as region:
        region.deploy("node01", "admin")
        region.advance(3600)
        key = ApiKey.parse(region.api_key)
        weak = await answer(region, Principal("bob", frozenset({Scope.OPERATE}), key), method, waiting=waiting)
        posts = [each for each in region.requests if each.method == "POST"]

    assert isinstance(weak, types.JSONRPCError)
    assert "requires the scope maas:destroy" in weak.error.message
    assert not posts
