"""A tool sees the calls that the site allows its caller."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from maas_mcp.calls.chain import run_call
from maas_mcp.calls.principal import LOCAL, Scope
from maas_mcp.calls.served import Serving
from maas_mcp.operations.progress import discard_progress
from maas_mcp.plugins.registry import load_registry
from maas_mcp.policy.configuration import MODES, Policy, Protection
from maas_mcp.policy.selection import RequestSelection, SiteSelection
from maas_mcp.server.loaded_tools import served_tools, toolsets_of
from maas_mcp.testing import MaasRegion
from tests.own_plugins import OWN_PLUGINS

for plugin in ("maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)

pytestmark = pytest.mark.anyio

EVERYTHING = frozenset(Scope)


async def access(
    mode: str = "standard",
    scopes: frozenset[Scope] = EVERYTHING,
    request: RequestSelection = RequestSelection(),  # noqa: B008 - it is frozen
    **policy: Any,
) -> Mapping[str, Any]:
    """The result of maas_whoami, which shows the access."""
    registry = load_registry(allow=OWN_PLUGINS, strict=True)
    tools, region = served_tools(registry), MaasRegion()
    async with region.host() as host:
        host.host.serve(tools)
        host.host.plugins.use(registry.plugins)
        host.host.policy.use(host.settings.model_copy(update={"mode": mode, "policy": Policy(**policy)}))
        served = Serving(tools, toolsets_of(registry), [SiteSelection(mode, MODES[mode].reads_only)]).select(request)
        answer = await run_call(
            host.host,
            tools["maas_whoami"],
            {"tool": "maas_power_off"},
            connection=host.host.connections.connect(replace(LOCAL, scopes=scopes)),
            sender=lambda _token: discard_progress,
            served=served,
        )
    return answer.content or {}


async def test_the_mode_decides_the_responses() -> None:
    assert (await access())["destroy"] == "confirm"
    assert (await access("unattended"))["destroy"] == "plan"


async def test_a_mode_that_only_reads_leaves_out_the_tools_that_change_something() -> None:
    shown = await access("read-only")

    assert (shown["operate"], shown["destroy"]) == ("refuse", "refuse")
    assert shown["tools_left_out"] > 10
    assert "allows no changes" in shown["tool"]


async def test_a_scope_that_the_caller_lacks_refuses_its_calls() -> None:
    assert (await access(scopes=frozenset({Scope.READ})))["operate"] == "refuse"
    shown = await access(scopes=frozenset({Scope.OPERATE}))
    assert (shown["operate"], shown["destroy"]) == ("allow", "refuse")


async def test_a_request_that_narrows_itself_to_reads_refuses_changes() -> None:
    shown = await access(request=RequestSelection(read_only=True))

    assert (shown["operate"], shown["destroy"]) == ("refuse", "refuse")
    assert "X-MAAS-MCP-Read-Only" in shown["tool"]


async def test_the_protected_machines_are_named() -> None:
    shown = await access(protect=Protection(tags=("prod",), zones=("az1",)))

    assert shown["protected"] == {"tags": ["prod"], "zones": ["az1"]}
