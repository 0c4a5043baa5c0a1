"""Resolves the next steps of errors to tools that are served."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Final

from maas_mcp.next_step import NextStep
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.plugins.validation import OPERATION_ID, REGION_OPTION

MAX_STEPS: Final = 5
"""Maximum next steps in an error. A batch may have one for each machine."""


def resolve_steps(steps: Iterable[NextStep], tools: Mapping[str, AnyTool]) -> list[NextStep]:
    """The first steps whose tools are served, with the names of these tools."""
    served = (replace(step, tool=name) for step in steps if (name := tool_for(step.tool, tools)))
    return list(islice(served, MAX_STEPS))


def in_region(steps: Iterable[NextStep], region: str) -> tuple[NextStep, ...]:
    """The steps with the argument that chooses the region, if there is a choice. An operation's id needs none."""
    own = {REGION_OPTION: region} if region else {}
    return tuple(
        each if OPERATION_ID in each.arguments else replace(each, arguments={**each.arguments, **own}) for each in steps
    )


def tool_for(wanted: str, tools: Mapping[str, AnyTool]) -> str | None:
    """The tool with this name, or the first tool that offers it; ``None`` if neither is served."""
    if wanted in tools:
        return wanted
    return next((name for name, tool in tools.items() if wanted and tool.offers == wanted), None)
