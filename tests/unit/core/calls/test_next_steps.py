"""Next steps are resolved to the tools that are served."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from maas_mcp.api import NextStep, OperationFailedError, Tool, ToolContext
from maas_mcp.calls.next_steps import MAX_STEPS, resolve_steps
from maas_mcp.calls.reports import report_failure
from maas_mcp.operations.next_steps import FIND_OPERATION, read_machine, unlock
from maas_mcp.plugins.registry import AnyTool


class Which(BaseModel):
    """A machine."""

    system_id: str


class Opened(Tool[Which, Which]):
    """Unlock a machine."""

    name = "acme_open"
    offers = "machine unlock"

    async def run(self, ctx: ToolContext, args: Which) -> Which:  # noqa: ARG002 - Tool's signature
        return args


class Plain(Tool[Which, Which]):
    """Do something that MAAS has no operation for."""

    name = "acme_polish"

    async def run(self, ctx: ToolContext, args: Which) -> Which:  # noqa: ARG002 - Tool's signature
        return args


SERVED: Mapping[str, AnyTool] = {tool.name: tool() for tool in (Opened, Plain)}


def test_a_step_gets_the_name_of_the_tool_that_offers_it_and_keeps_its_arguments() -> None:
    (step,) = resolve_steps([unlock("4y3h7n")], SERVED)

    assert step == NextStep("acme_open", {"system_id": "4y3h7n"}, why=unlock("4y3h7n").why)


@pytest.mark.parametrize("step", [FIND_OPERATION, read_machine("4y3h7n", "Read it"), NextStep("", why="Nothing")])
def test_a_step_whose_tool_is_not_served_is_left_out(step: NextStep) -> None:
    polish = NextStep("acme_polish", why="Polish it")

    assert resolve_steps([step, polish], SERVED) == [polish]


def test_the_number_of_next_steps_is_limited() -> None:
    steps = [unlock(f"abc{number:03}") for number in range(200)]

    shown = resolve_steps(steps, SERVED)

    assert [each.arguments for each in shown] == [each.arguments for each in steps[:MAX_STEPS]]


def test_a_report_has_the_steps_whose_tools_are_served() -> None:
    steps = [unlock("4y3h7n"), FIND_OPERATION]
    error = OperationFailedError("node01 is Failed deployment.", next_steps=steps)

    reported: dict[str, Any] = report_failure(error, "id", SERVED).model_dump(mode="json")

    assert reported["error"]["hint"] is None
    assert reported["error"]["next_steps"] == [
        {"tool": "acme_open", "arguments": {"system_id": "4y3h7n"}, "why": "If the user allows it, unlock it"}
    ]
