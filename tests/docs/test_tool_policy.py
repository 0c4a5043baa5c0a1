"""The table of tools and policy has every tool, and agrees with the declarations: its calls ran on the simulator."""

import pytest

from maas_mcp.maas.permissions import ADMIN_ONLY
from maas_mcp.server.loaded_tools import served_tools
from tests.docs.snippets import ROOT

pytest.importorskip("sphinx", reason="the documentation needs requirements-dev.txt")

from docs._ext.tool_policy import HEAD, ROWS, observe, registry, tool_policy

TOOLS = served_tools(registry())


def test_every_tool_has_a_row() -> None:
    assert list(dict.fromkeys(row.call.tool for row in ROWS)) == [
        name for name in TOOLS if name in {row.call.tool for row in ROWS}
    ]
    assert {row.call.tool for row in ROWS} == set(TOOLS)


@pytest.mark.parametrize("index", range(len(ROWS)), ids=[f"{row.call.tool} {row.variant}".strip() for row in ROWS])
def test_a_call_sends_a_change_exactly_if_its_effects_say_so(index: int) -> None:
    tool, observed = TOOLS[ROWS[index].call.tool], observe(index)

    assert bool(observed.requests) == observed.effects.changes
    assert not (tool.read_only and observed.requests)


@pytest.mark.parametrize("index", range(len(ROWS)), ids=[f"{row.call.tool} {row.variant}".strip() for row in ROWS])
def test_a_tool_is_marked_for_administrators_if_maas_allows_its_request_only_to_them(index: int) -> None:
    needed = any(
        (path.rpartition("?op=")[2] if "?op=" in path else method) in ADMIN_ONLY or path == "boot-resources/?op=import"
        for method, path in observe(index).requests
    )

    assert TOOLS[ROWS[index].call.tool].admin_only is needed


def test_the_page_shows_the_generated_table() -> None:
    page = (ROOT / "docs/reference/tool-policy.md").read_text()
    rows = tool_policy().splitlines()[2:]

    assert "```{generated} tool-policy\n```" in page
    assert len(rows) == len(ROWS)
    assert all(row.count(" | ") == len(HEAD) - 1 for row in rows)
