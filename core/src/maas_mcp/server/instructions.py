"""The server's instructions for the model. They mention only what the served tools do."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult

from maas_mcp.calls.next_steps import tool_for
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.next_steps import LIST_MACHINES
from maas_mcp.plugins.registry import AnyTool

if TYPE_CHECKING:
    from maas_mcp.server.catalogue import ViewOf

VERBS: Final[tuple[tuple[str, str], ...]] = (
    ("allocate", "allocate"),
    ("deploy (install an OS)", "deploy"),
    ("commission", "commission"),
    ("test", "test"),
    ("release", "release"),
    ("erase", "wipe"),
    ("power on or off", "power"),
    ("reboot", "reboot"),
    ("lock", "lock"),
    ("rescue", "rescue"),
    ("repair", "repaired"),
    ("abort", "abort"),
    ("edit", "edit"),
    ("tag", "tag"),
    ("configure", "configure"),
    ("add", "add"),
    ("delete", "delete"),
)
"""The changes that users ask for, each with a word by which the description of the tool for it begins."""
WAIT: Final = "maas_wait_operation"
_OPENING: Final = re.compile(r"[^:.]*")
"""The beginning of a description: what the tool does, with the verbs that users say."""


class InstructionsOfRequest:
    """Middleware that sends each client the instructions for its own request. The SDK has one text for all clients.

    Args:
        view_of: Returns the view of a request.
    """

    def __init__(self, view_of: "ViewOf") -> None:
        self._view_of = view_of

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Replace the instructions in the result of the first request of a client."""
        result = await call_next(ctx)
        if ctx.method in {"initialize", "server/discover"} and isinstance(result, dict) and "instructions" in result:
            result["instructions"] = (await self._view_of(ctx)).instructions
        return result


def instructions_for(tools: Mapping[str, AnyTool]) -> str:
    """The instructions for these tools."""
    return " ".join([*_purpose(tools.values()), *_finding(tools), *_operations(tools), *_plans(tools.values())])


def _purpose(tools: Iterable[AnyTool]) -> Iterator[str]:
    openings = [_OPENING.match(tool.description().lower()) for tool in tools if not tool.read_only]
    words = {word for opening in openings if opening for word in re.findall(r"\w+", opening[0])}
    verbs = [verb for verb, word in VERBS if word in words]
    if verbs:
        yield (
            "Manages machines (bare-metal servers and VMs) with Canonical MAAS: "
            f"list, {', '.join(verbs[:-1])}{' and ' if verbs[1:] else ''}{verbs[-1]} them."
        )
    elif words:
        yield "Manages Canonical MAAS, which runs machines (bare-metal servers and VMs)."
    else:
        yield "Reads from Canonical MAAS, which manages machines (bare-metal servers and VMs). Changes nothing."
    if "import" in words:
        yield "Also lists and imports OS images."


def _finding(tools: Mapping[str, AnyTool]) -> Iterator[str]:
    if name := tool_for(LIST_MACHINES.tool, tools):
        yield f"Tools identify a machine by its system_id; find it with {name}."


def _operations(tools: Mapping[str, AnyTool]) -> Iterator[str]:
    if not any(isinstance(tool, LongRunning) for tool in tools.values()):
        return
    yield "Operations on machines or images take minutes to hours:"
    yield "one call starts an operation, reports progress and returns when it has ended."
    if WAIT in tools:
        yield f"With wait_seconds it returns earlier, with an operation_id for {WAIT}."
    yield "If the same operation is already running, a call starts nothing and returns its operation_id."
    yield "Cancelling a call only stops following: MAAS continues, unless on_cancel is `abort`."


def _plans(tools: Iterable[AnyTool]) -> Iterator[str]:
    if all(tool.read_only for tool in tools):
        return
    yield "With plan=true, a tool changes nothing and shows what it would do, with a plan_id for ten minutes."
    yield "The same call with that plan_id, instead of plan, applies it. Show the plan to the user first."
