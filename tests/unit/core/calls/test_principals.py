"""Principals do not share anything, even with the same MAAS API key, and cannot exceed their scopes."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from maas_mcp.calls.chain import run_call
from maas_mcp.calls.connections import Connection, Connections
from maas_mcp.calls.host import Host, open_host
from maas_mcp.calls.principal import Principal, Scope
from maas_mcp.errors import InsufficientScopeError, OperationCancelledError, UnknownOperationError
from maas_mcp.maas.address import ApiKey
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import discard_progress
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import connector, settings_for
from tests.unit.core.operations.declared import Arguments, Deploy

pytestmark = pytest.mark.anyio


@pytest.fixture
def region() -> MaasRegion:
    return MaasRegion()


@pytest.fixture
async def host(region: MaasRegion) -> AsyncIterator[Host]:
    with region:
        async with open_host(settings_for(region, "admin"), {}, connect=connector(region)) as host:
            yield host


def principal(region: MaasRegion, name: str, *scopes: Scope) -> Principal:
    """A principal with the API key of the MAAS user admin."""
    return Principal(name, frozenset(scopes), ApiKey.parse(region.api_key_of("admin")))


async def test_another_principal_with_the_same_api_key_cannot_use_an_operation_id(
    host: Host, region: MaasRegion
) -> None:
    handle = Handle("maas_deploy", "7xneda", int(region.now()), 0, ())
    async with host.tenant(principal(region, "alice")) as alice, host.tenant(principal(region, "bob")) as bob:
        operation_id = alice.handle_signer.sign(handle)

        assert alice.handle_signer.verify(operation_id) == handle
        with pytest.raises(UnknownOperationError):
            bob.handle_signer.verify(operation_id)


async def test_cancelling_an_operation_ends_only_the_principals_own_calls(region: MaasRegion) -> None:
    connections = Connections()
    alice, bob = principal(region, "alice"), principal(region, "bob")
    own, other = connections.connect(alice), connections.connect(bob)
    with ExitStack() as calls, pytest.raises(OperationCancelledError):
        follow(calls, connections, other, own, bob)


def follow(calls: ExitStack, connections: Connections, other: Connection, own: Connection, bob: Principal) -> None:
    """Follow one operation by a call of each connection, and cancel bob's."""
    others_call, call = (calls.enter_context(each.running()) for each in (other, own))
    for each in (others_call, call):
        calls.enter_context(each.following("maas_deploy", "7xneda"))

    connections.stop_following(bob, "maas_deploy", "7xneda")

    assert others_call.token.cancelled
    assert not call.token.cancelled
    others_call.token.raise_if_cancelled()


class Wipe(Deploy):
    """An operation that destroys data."""

    name = "maas_wipe"
    destructive = True

    def effects(self, args: Arguments) -> Effects:
        return replace(super().effects(args), erases=True)


@pytest.mark.parametrize(
    ("tool", "granted", "needed"),
    [(Deploy, Scope.READ, Scope.OPERATE), (Wipe, Scope.OPERATE, Scope.DESTROY)],
)
async def test_a_call_beyond_the_scopes_is_refused_without_a_request_to_maas(
    host: Host, region: MaasRegion, tool: type[Deploy], granted: Scope, needed: Scope
) -> None:
    connection = host.connections.connect(principal(region, "alice", granted))

    with pytest.raises(InsufficientScopeError, match=f"requires the scope {needed}"):
        await run_call(
            host, tool(), {"system_id": "7xneda"}, connection=connection, sender=lambda _token: discard_progress
        )

    assert not region.requests
