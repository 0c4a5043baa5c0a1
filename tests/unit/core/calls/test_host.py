"""The host: one tenant for each user of MAAS, and one request limit for all of them."""

from collections.abc import AsyncIterator

import anyio
import pytest

from maas_mcp.calls.host import IDLE_LIMIT, MAX_TENANTS, Host, open_host
from maas_mcp.calls.principal import Principal, Scope
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey
from maas_mcp.maas.limits import MAX_REQUESTS
from maas_mcp.operations.handles import Handle
from maas_mcp.settings import Settings
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import connector, settings_for

pytestmark = pytest.mark.anyio


def caller(number: int) -> Principal:
    return Principal(f"user{number}", frozenset(Scope), ApiKey("consumer", f"token{number}", "secret"))


@pytest.fixture
def region() -> MaasRegion:
    return MaasRegion()


@pytest.fixture
async def host(region: MaasRegion) -> AsyncIterator[Host]:
    with region:
        async with open_host(settings_for(region, "admin"), {}, connect=connector(region)) as host:
            yield host


async def test_calls_with_the_same_api_key_share_a_tenant(host: Host) -> None:
    async with host.tenant() as own, host.tenant() as same, host.tenant(caller(1)) as other:
        assert own is same
        assert own is not other
        assert own.handle_signer is not other.handle_signer


async def test_an_idle_tenant_is_closed(host: Host) -> None:
    async with host.tenant(caller(1)) as first:
        pass
    await anyio.sleep(IDLE_LIMIT)
    async with host.tenant(caller(2)):
        pass
    async with host.tenant(caller(1)) as again:
        assert again is not first


async def test_a_tenant_in_use_is_not_closed(host: Host) -> None:
    async with host.tenant(caller(1)) as first:
        await anyio.sleep(IDLE_LIMIT * 2)
        async with host.tenant(caller(2)):
            pass
        async with host.tenant(caller(1)) as again:
            assert again is first


async def test_the_least_recently_used_tenant_is_closed_if_there_are_too_many(host: Host) -> None:
    async with host.tenant(caller(0)) as oldest:
        pass
    async with host.tenant(caller(1)) as second:
        pass
    for number in range(2, MAX_TENANTS + 1):
        async with host.tenant(caller(number)):
            pass
    async with host.tenant(caller(1)) as again:
        assert again is second
    async with host.tenant(caller(0)) as once_more:
        assert once_more is not oldest


async def test_a_tenant_with_an_unanswered_request_is_kept(host: Host, region: MaasRegion) -> None:
    region.hold(op="rebuild", before=IDLE_LIMIT * 3)
    async with host.tenant(caller(1)) as first:

        async def unchecked(_maas: object) -> None:
            pass

        first.requests.submit(
            Handle("acme_rebuild_tag", "region", 0, 0, ()),
            lambda maas: maas.post_op("tags/ssd/", "rebuild"),
            first.maas,
            check=unchecked,
        )
        await anyio.sleep(1)
    await anyio.sleep(IDLE_LIMIT)
    async with host.tenant(caller(2)), host.tenant(caller(1)) as again:
        assert again is first


async def test_all_users_share_the_limit_of_concurrent_requests(host: Host, region: MaasRegion) -> None:
    region.hold(op="whoami", before=10)
    async with anyio.create_task_group() as tasks:

        async def ask(username: str) -> None:
            consumer, token, secret = region.api_key_of(username).split(":")
            async with host.tenant(Principal(username, frozenset(Scope), ApiKey(consumer, token, secret))) as tenant:
                await tenant.maas.whoami()

        for username in ("admin", "bob", "admin", "bob", "admin", "bob"):
            tasks.start_soon(ask, username)
    slots = MAX_REQUESTS - 1  # one slot is reserved for event queries
    assert anyio.current_time() == pytest.approx(10 * 6 / slots, abs=1)


async def test_a_call_without_settings_names_the_missing_ones() -> None:
    async with (
        open_host(Settings.model_construct(maas_url=None, maas_api_key=None), {}) as host,
        host.tenant() as tenant,
    ):
        with pytest.raises(SettingsError, match="MAAS_URL and MAAS_API_KEY are not set"):
            _ = tenant.maas
