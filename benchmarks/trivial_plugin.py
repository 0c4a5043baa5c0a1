"""A plugin with two trivial tools, like those of ``reference_server.py``."""

import anyio.lowlevel
from pydantic import BaseModel

from maas_mcp.api import Tool, ToolContext, hookimpl
from maas_mcp.operations import progress

progress.MINIMUM_GAP = 0.0  # type: ignore[misc] # so that each report is sent, and its cost can be measured


class Text(BaseModel):
    """The arguments of the first tool, and the result of both."""

    text: str = ""


class Count(BaseModel):
    """The arguments of the second tool."""

    count: int = 0


class Nothing(Tool[Text, Text]):
    """Return the text."""

    name = "bench_nothing"
    read_only = True

    async def run(self, _ctx: ToolContext, args: Text) -> Text:
        """Return the text."""
        return args


class Progress(Tool[Count, Text]):
    """Report progress."""

    name = "bench_progress"
    read_only = True

    async def run(self, ctx: ToolContext, args: Count) -> Text:
        """Report progress ``count`` times."""
        for number in range(args.count):
            ctx.progress.report((number + 1) / args.count, f"step {number}")
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
        return Text(text="")


@hookimpl
def maas_mcp_tools() -> list[type[Tool[BaseModel, BaseModel]]]:
    """Declare the tools."""
    return [Nothing, Progress]  # type: ignore[list-item] # tools are invariant in their arguments
