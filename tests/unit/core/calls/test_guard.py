"""Every call is judged by the site's policy before anything is sent."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from maas_mcp.calls.call import CallResult
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.confirmation import ErasingConsent
from maas_mcp.calls.principal import LOCAL, Scope
from maas_mcp.errors import InsufficientScopeError, MaasMcpError, NotAnsweredError, RefusedByPolicyError
from maas_mcp.operations.declaring.questions import NOBODY, Asker, ClientRequest, Question
from maas_mcp.operations.progress import discard_progress
from maas_mcp.policy.configuration import Mode, Policy, Protection
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import Host
from tests.own_plugins import own_tools

for plugin in ("maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)

pytestmark = pytest.mark.anyio


async def call(
    host: Host, name: str, *, scopes: frozenset[Scope] = frozenset(Scope), user: Asker = NOBODY, **arguments: Any
) -> CallResult:
    tools = own_tools()
    host.host.serve(tools)
    connection = host.host.connections.connect(replace(LOCAL, scopes=scopes))
    return await run_call(
        host.host, tools[name], arguments, connection=connection, sender=lambda _token: discard_progress, user=user
    )


def use(host: Host, mode: str = "standard", **policy: Any) -> None:
    host.host.policy.use(host.host.settings.model_copy(update={"mode": mode, "policy": Policy(**policy)}))


def changes(region: MaasRegion) -> list[str]:
    return [each.method for each in region.requests if each.method != "GET"]


async def refusal(region: MaasRegion, name: str, /, **options: Any) -> MaasMcpError:
    """The error of a call on node01, after which nothing was sent."""
    policy = {key: options.pop(key) for key in ("mode", "protect", "modes") if key in options}
    arguments = {"system_id": region.machine("node01").system_id, **options}
    async with region.host() as host:
        use(host, **policy)
        with pytest.raises(MaasMcpError) as refused:
            await call(host, name, **arguments)
    assert changes(region) == []
    return refused.value


async def test_a_protected_machine_is_not_changed() -> None:
    error = await refusal(MaasRegion(), "maas_lock_machine", protect=Protection(hostnames=("node*",)))

    assert isinstance(error, RefusedByPolicyError)
    assert error.rule == "protect.hostnames"
    assert "node01" in error.message
    assert "Nothing was sent to MAAS" in error.message


async def test_a_mode_refuses_every_change() -> None:
    error = await refusal(MaasRegion(), "maas_lock_machine", mode="read-only")

    assert isinstance(error, RefusedByPolicyError)
    assert error.rule == "modes.read-only.operate"


async def test_a_site_can_define_a_mode() -> None:
    modes = {"night": Mode(operate="refuse", destroy="refuse")}

    error = await refusal(MaasRegion(), "maas_lock_machine", mode="night", modes=modes)

    assert isinstance(error, RefusedByPolicyError)
    assert error.rule == "modes.night.operate"


async def test_a_token_for_operating_may_not_destroy() -> None:
    region = MaasRegion()
    node = region.machine("node01").system_id
    operating = frozenset({Scope.OPERATE})
    async with region.host() as host:
        await call(host, "maas_deploy_machine", system_id=node, scopes=operating)
        sent = changes(region)
        with pytest.raises(InsufficientScopeError, match="requires the scope maas:destroy"):
            await call(host, "maas_release_machine", system_id=node, scopes=operating)

    assert changes(region) == sent


async def test_an_abort_by_operation_id_is_judged_by_the_operations_machine() -> None:
    region = MaasRegion()
    node = region.machine("node01").system_id
    async with region.host() as host:
        started = await call(host, "maas_deploy_machine", system_id=node, wait_seconds=0)
        sent = changes(region)
        use(host, protect=Protection(hostnames=("node01",)))
        with pytest.raises(RefusedByPolicyError, match="node01"):
            await call(host, "maas_cancel_operation", operation_id=started.operation_id, abort=True)

    assert changes(region) == sent


async def test_reading_is_judged_without_a_request() -> None:
    region = MaasRegion()
    async with region.host() as host:
        use(host, "read-only", protect=Protection(hostnames=("*",)))
        await call(host, "maas_get_machine", system_id=region.machine("node01").system_id)

    assert len(region.requests) == 1


class ChangesItsMind:
    """A client that agrees, after something has changed meanwhile."""

    def __init__(self, change: Callable[[], object]) -> None:
        self._change = change

    def can_ask(self, kind: type[Any] = Question) -> bool:  # noqa: ARG002 - all kinds are alike here
        return True

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, BaseModel]:
        self._change()
        return {key: ErasingConsent(typed="node07") for key in requests}

    async def log(self, text: str, level: str) -> None: ...


@pytest.mark.parametrize("change", ["nothing", "owner", "mode", "protection"])
async def test_a_confirmation_is_about_the_machines_and_the_policy_of_the_question(change: str) -> None:
    region = MaasRegion()
    node = region.machine("node07")
    async with region.host() as host:

        def act() -> None:
            if change == "owner":
                region.machine("node07").owner = "bob"
            elif change == "mode":
                use(host, "unattended")
            elif change == "protection":
                use(host, protect=Protection(hostnames=("node07",)))

        use(host)
        answering = call(host, "maas_release_machine", user=ChangesItsMind(act), system_id=node.system_id, erase=True)
        if change == "nothing":
            await answering
        else:
            with pytest.raises((NotAnsweredError, RefusedByPolicyError)):
                await answering

    assert len(changes(region)) == (change == "nothing")
