"""The next steps that can be taken: of what errors suggest, the calls of tools that are served."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Final

from maas_mcp.errors import NextStep
from maas_mcp.plugins.registry import AnyTool

MOST_STEPS: Final = 5
"""More are not shown: a batch may have one for each of its machines."""


def resolved(steps: Iterable[NextStep], tools: Mapping[str, AnyTool]) -> list[NextStep]:
    """The first steps whose tools are served, with the names of these."""
    served = (replace(step, tool=name) for step in steps if (name := tool_for(step.tool, tools)))
    return list(islice(served, MOST_STEPS))


def tool_for(wanted: str, tools: Mapping[str, AnyTool]) -> str | None:
    """The tool of this name, or the first one that offers this; ``None`` if neither is served."""
    if wanted in tools:
        return wanted
    return next((name for name, tool in tools.items() if wanted and tool.offers == wanted), None)
