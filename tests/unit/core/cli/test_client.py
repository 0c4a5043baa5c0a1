"""How the bar of a call ends, by what the call has answered."""

import io
import re
from typing import Any

import pytest
from mcp_types import CallToolResult, TextContent
from rich.console import Console

from maas_mcp.cli.bars import Bars
from maas_mcp.cli.client import end_bar

pytestmark = pytest.mark.anyio


def answer(*, is_error: bool = False, **report: Any) -> CallToolResult:
    """What a call answers, with a report of an operation if one is given."""
    structured = {"operation_id": "maas_deploy_machine.4y3h7n.x", **report} if report else None
    return CallToolResult(content=[TextContent(text="…")], structured_content=structured, is_error=is_error)


async def last_drawn(result: CallToolResult, *, fraction: float = 0.02, total: float | None = 1.0) -> str:
    """The bar at the end of a call that has told of its progress once."""
    console = Console(file=io.StringIO(), width=80, record=True)
    with Bars(console) as bars:
        bar = bars.add("node01")
        await bar.news(fraction, total, "Deploying")
        end_bar(bar, result)
        console.print(bars)
    return re.sub(r"[━╺╸\s]+|0:00:0\d", " ", console.export_text().splitlines()[-1])


@pytest.mark.parametrize(
    ("result", "drawn"),
    [
        (answer(state="working", progress=0.02, message="Deploying"), "node01 2% still running"),
        (answer(state="working", progress=0.4, message="Installing OS"), "node01 40% still running"),
        (answer(state="working", progress=None, message="Not confirmed yet"), "node01 2% still running"),
        (answer(state="succeeded", progress=1.0, message="Deployed"), "node01 100% Deployed"),
        (answer(state="partly_succeeded", progress=1.0, message="1 of 2"), "node01 100% partly succeeded"),
        (answer(state="failed", progress=None, message="Failed deployment"), "node01 2% failed"),
        (answer(state="reverted", progress=None, message="Aborted"), "node01 2% reverted"),
        (answer(state="timed_out", progress=None, message="Too long"), "node01 2% timed out"),
        (answer(is_error=True), "node01 2% failed"),
        (answer(), "node01 100% Deploying"),
    ],
)
async def test_the_bar_of_a_call_ends_where_its_operation_is(result: CallToolResult, drawn: str) -> None:
    assert (await last_drawn(result)).split() == drawn.split()


@pytest.mark.parametrize(
    ("result", "drawn"),
    [
        (answer(state="working", progress=None, message="Waiting"), "node01 still running"),
        (answer(is_error=True), "node01 failed"),
        (answer(), "node01 Deploying"),
    ],
)
async def test_a_bar_without_milestones_ends_without_a_percentage(result: CallToolResult, drawn: str) -> None:
    assert (await last_drawn(result, fraction=3.2, total=None)).split() == drawn.split()


async def test_without_a_terminal_a_call_that_answers_early_does_not_claim_its_end() -> None:
    file = io.StringIO()
    with Bars(Console(file=file, width=80)) as bars:
        bar = bars.add("node01")
        await bar.news(0.02, 1.0, "Deploying")
        end_bar(bar, answer(state="working", progress=0.02, message="Deploying"))
    assert file.getvalue() == "node01    2%  Deploying\n"


async def test_the_tool_of_a_plugin_that_has_a_state_of_its_own_is_no_operation() -> None:
    result = CallToolResult(content=[], structured_content={"state": "failed"})
    assert (await last_drawn(result)).split() == ["node01", "100%", "Deploying"]
