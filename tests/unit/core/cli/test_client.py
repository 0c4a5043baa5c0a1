"""The end of a call's bar, by the result of the call."""

import io
import re
from typing import Any

import pytest
from mcp_types import CallToolResult, TextContent
from rich.console import Console

from maas_mcp.cli.bars import Bars
from maas_mcp.cli.client import end_bar

pytestmark = pytest.mark.anyio


def call_result(*, is_error: bool = False, **report: Any) -> CallToolResult:
    """The result of a call, with an operation report if one is given."""
    structured = {"operation_id": "maas_deploy_machine.4y3h7n.x", **report} if report else None
    return CallToolResult(content=[TextContent(text="…")], structured_content=structured, is_error=is_error)


async def last_drawn(result: CallToolResult, *, fraction: float = 0.02, total: float | None = 1.0) -> str:
    """The bar at the end of a call that has reported progress once."""
    console = Console(file=io.StringIO(), width=80, record=True)
    with Bars(console) as bars:
        bar = bars.add("node01")
        await bar.on_progress(fraction, total, "Deploying")
        end_bar(bar, result)
        console.print(bars)
    return re.sub(r"[━╺╸\s]+|0:00:0\d", " ", console.export_text().splitlines()[-1])


@pytest.mark.parametrize(
    ("result", "drawn"),
    [
        (call_result(state="working", progress=0.02, message="Deploying"), "node01 2% still running"),
        (call_result(state="working", progress=0.4, message="Installing OS"), "node01 40% still running"),
        (call_result(state="working", progress=None, message="Not confirmed yet"), "node01 2% still running"),
        (call_result(state="succeeded", progress=1.0, message="Deployed"), "node01 100% Deployed"),
        (call_result(state="partly_succeeded", progress=1.0, message="1 of 2"), "node01 100% partly succeeded"),
        (call_result(state="failed", progress=None, message="Failed deployment"), "node01 2% failed"),
        (call_result(state="reverted", progress=None, message="Aborted"), "node01 2% reverted"),
        (call_result(state="timed_out", progress=None, message="Too long"), "node01 2% timed out"),
        (call_result(is_error=True), "node01 2% failed"),
        (call_result(), "node01 100% Deploying"),
    ],
)
async def test_the_bar_ends_at_the_progress_of_the_operation(result: CallToolResult, drawn: str) -> None:
    assert (await last_drawn(result)).split() == drawn.split()


@pytest.mark.parametrize(
    ("result", "drawn"),
    [
        (call_result(state="working", progress=None, message="Waiting"), "node01 still running"),
        (call_result(is_error=True), "node01 failed"),
        (call_result(), "node01 Deploying"),
    ],
)
async def test_a_bar_without_milestones_ends_without_a_percentage(result: CallToolResult, drawn: str) -> None:
    assert (await last_drawn(result, fraction=3.2, total=None)).split() == drawn.split()


async def test_without_a_terminal_a_call_that_returns_early_prints_no_end() -> None:
    file = io.StringIO()
    with Bars(Console(file=file, width=80)) as bars:
        bar = bars.add("node01")
        await bar.on_progress(0.02, 1.0, "Deploying")
        end_bar(bar, call_result(state="working", progress=0.02, message="Deploying"))
    assert file.getvalue() == "node01    2%  Deploying\n"


async def test_a_result_that_has_a_state_but_no_operation_id_is_a_success() -> None:
    result = CallToolResult(content=[], structured_content={"state": "failed"})
    assert (await last_drawn(result)).split() == ["node01", "100%", "Deploying"]
