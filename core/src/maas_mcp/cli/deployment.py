"""One deployment of the demonstration: a call of the tool, its bar, and its line in the summary."""

from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from mcp.client import Client
from mcp_types import CallToolResult

from maas_mcp.cli.bars import Bar
from maas_mcp.cli.client import call_tool, end_bar

HALFWAY: Final = 0.4
"""Where the third deployment is cancelled: the operating system is being installed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One operation, for the summary."""

    operation: str
    result: str
    style: str
    seconds: float
    messages: int
    problem: str | None = None
    """What was not as expected."""


@dataclass
class Deployment:
    """A call of ``maas_deploy_machine`` with its bar."""

    client: Client
    bar: Bar
    arguments: dict[str, Any]
    result: CallToolResult | None = None
    """``None`` while it is under way, and after it was cancelled."""
    halfway: anyio.Event = field(default_factory=anyio.Event)
    """Set when it is half-way, and when it is over."""
    seconds: float = 0.0

    async def run(self) -> None:
        """Call the tool and wait until it is over."""
        started = anyio.current_time()
        try:
            self.result = await call_tool(self.client, "maas_deploy_machine", self.arguments, self._news)
            end_bar(self.bar, self.result, failed="Failed deployment")
        finally:
            self.seconds = anyio.current_time() - started
            self.halfway.set()

    async def _news(self, progress: float, total: float | None, message: str | None) -> None:
        await self.bar.news(progress, total, message)
        if self.bar.fraction >= HALFWAY:
            self.halfway.set()

    def outcome(self, operation: str, result: str, style: str, problem: str | None) -> Outcome:
        """The line of the summary."""
        return Outcome(operation, result, style, self.seconds, self.bar.messages, problem)
