"""Settings select the tools that a server serves, and a request can only narrow them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.calls.served import Served, Serving
from maas_mcp.plugins.registry import load_registry
from maas_mcp.policy.configuration import MODES
from maas_mcp.policy.selection import ANNOTATIONS, RequestSelection, SiteSelection, UserSelection, check_patterns
from maas_mcp.server.loaded_tools import served_tools, toolsets_of
from tests.own_plugins import OWN_PLUGINS

for plugin in ("maas_commission", "maas_configure", "maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)

REGISTRY = load_registry(allow=OWN_PLUGINS, strict=True)
TOOLS, TOOLSETS = served_tools(REGISTRY), toolsets_of(REGISTRY)
FOLLOWING = {"maas_list_operations", "maas_get_operation", "maas_wait_operation"}


def served(*requests: Any, mode: str = "standard", **site: Any) -> Served:
    given = {"toolsets": frozenset(site.pop("toolsets", ())), **site}
    return Serving(TOOLS, TOOLSETS, [SiteSelection(mode, MODES[mode].reads_only, **given)]).select(*requests)


def test_without_settings_every_tool_is_served() -> None:
    assert dict(served().tools) == TOOLS
    assert served().refused == {}


def test_a_mode_that_refuses_every_change_serves_only_tools_that_read() -> None:
    left = served(mode="read-only")

    assert set(left.tools) == {name for name, tool in TOOLS.items() if tool.read_only}
    refusal = left.refused["maas_deploy_machine"]
    assert refusal.rule == "modes.read-only"
    assert "allows no changes" in refusal.reason


def test_the_mode_unattended_serves_every_tool_because_the_tier_depends_on_the_machine() -> None:
    assert served(mode="unattended").tools.keys() == TOOLS.keys()


def test_a_toolset_is_served_with_the_tools_that_follow_its_operations() -> None:
    left = served(toolsets=["images"])

    assert set(left.tools) == {"maas_import_images", *FOLLOWING, "maas_cancel_operation"}
    assert left.refused["maas_power_on"].rule == "toolsets"
    assert "toolset power" in left.refused["maas_power_on"].reason


def test_a_toolset_without_long_running_tools_brings_no_others() -> None:
    tools = served(toolsets=["inventory"]).tools
    assert "maas_list_machines" in tools
    assert {TOOLSETS[name] for name in tools} == {"inventory"}
    assert "maas_wait_operation" not in served(toolsets=["images"], mode="read-only").tools


def test_the_tools_that_follow_operations_can_be_blocked() -> None:
    left = served(toolsets=["images"], block=("maas_*_operation*",))

    assert set(left.tools) == {"maas_import_images"}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("maas_get_machine",), {"maas_get_machine"}),
        (("maas_power_*",), {"maas_power_on", "maas_power_off", "maas_power_cycle"}),
        (("@read-only",), {name for name, tool in TOOLS.items() if tool.read_only}),
        (("@destructive",), {name for name, tool in TOOLS.items() if tool.destructive}),
        (("maas_power_on", "@nothing"), None),
    ],
)
def test_tools_are_allowed_and_blocked_by_name_glob_and_annotation(
    patterns: tuple[str, ...], expected: set[str] | None
) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="@nothing is not an annotation; expected one of: @read-only"):
            check_patterns(patterns)
        return
    assert set(served(allow=patterns).tools) == expected
    assert set(served(block=patterns).tools) == TOOLS.keys() - expected


def test_blocking_overrides_allowing() -> None:
    assert set(served(allow=("maas_power_*",), block=("@destructive",)).tools) == {"maas_power_on"}


def test_a_request_narrows_what_the_site_serves() -> None:
    left = served(RequestSelection(read_only=True), toolsets=["power"])

    assert set(left.tools) == {"maas_query_power_state"}
    assert left.refused["maas_power_on"].rule == "X-MAAS-MCP-Read-Only"
    assert left.refused["maas_get_machine"].rule == "toolsets"


def test_a_request_cannot_bring_back_a_toolset() -> None:
    assert set(served(RequestSelection(toolsets=frozenset({"power"})), toolsets=["inventory"]).tools) == set()


def test_a_user_who_is_no_administrator_loses_the_tools_for_administrators() -> None:
    left = served(UserSelection("bob"))

    assert "maas_commission_machine" not in left.tools
    assert "maas_deploy_machine" in left.tools
    assert "bob is not one" in left.refused["maas_import_images"].reason


NAMES = st.sampled_from(sorted(TOOLS))
PATTERNS = st.one_of(
    NAMES, st.sampled_from(sorted(ANNOTATIONS)), st.sampled_from(["*", "maas_power_*", "*_machine", "nothing"])
)
LISTS = st.lists(PATTERNS, max_size=3).map(tuple)
SETS = st.frozensets(st.sampled_from([*sorted(set(TOOLSETS.values())), "unknown"]), max_size=3)
REQUESTS = st.builds(RequestSelection, toolsets=SETS, tools=LISTS, read_only=st.booleans())


@given(
    mode=st.sampled_from(sorted(MODES)),
    toolsets=SETS,
    allow=LISTS,
    block=LISTS,
    request=REQUESTS,
    administrator=st.booleans(),
)
def test_a_request_never_widens_what_the_settings_serve(
    mode: str, request: RequestSelection, *, administrator: bool, **site: Any
) -> None:
    user = () if administrator else (UserSelection("bob"),)
    without = served(*user, mode=mode, **site)
    narrowed = served(request, *user, mode=mode, **site)

    assert narrowed.tools.items() <= without.tools.items()
    assert narrowed.refused.keys() | narrowed.tools.keys() == TOOLS.keys()
    if request.read_only or mode == "read-only":
        assert all(tool.read_only for tool in narrowed.tools.values())
