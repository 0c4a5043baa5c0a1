"""One deployment of the demonstration: the tool call, its bar and its row in the summary."""

from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from mcp.client import Client
from mcp_types import CallToolResult

from maas_mcp.cli.bars import Bar
from maas_mcp.cli.client import call_tool, end_bar

CANCEL_FRACTION: Final = 0.4
"""The progress at which the third deployment is cancelled: MAAS is installing the operating system."""


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One row of the summary."""

    operation: str
    result: str
    style: str
    seconds: float
    messages: int
    problem: str | None = None
    """The unexpected result, if there was one."""


@dataclass
class Deployment:
    """A call of ``maas_deploy_machine`` with its bar."""

    client: Client
    bar: Bar
    arguments: dict[str, Any]
    result: CallToolResult | None = None
    """``None`` while the call is running, and after it was cancelled."""
    halfway: anyio.Event = field(default_factory=anyio.Event)
    """Set at :data:`CANCEL_FRACTION`, and when the call ends."""
    seconds: float = 0.0

    async def run(self) -> None:
        """Call the tool and wait for its result."""
        started = anyio.current_time()
        try:
            self.result = await call_tool(self.client, "maas_deploy_machine", self.arguments, self._on_progress)
            end_bar(self.bar, self.result, failed="Failed deployment")
        finally:
            self.seconds = anyio.current_time() - started
            self.halfway.set()

    async def _on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        await self.bar.on_progress(progress, total, message)
        if self.bar.fraction >= CANCEL_FRACTION:
            self.halfway.set()

    def summarize(self, operation: str, result: str, style: str, problem: str | None) -> SummaryRow:
        """Return the row of the summary."""
        return SummaryRow(operation, result, style, self.seconds, self.bar.messages, problem)
