"""Advertises the extensions of MCP that the server has: tasks (SEP-2663) and skills (SEP-2640)."""

from typing import Any, Final

from mcp.server import Server
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from maas_mcp.calls.host import Host

TASKS: Final = "io.modelcontextprotocol/tasks"
SKILLS: Final = "io.modelcontextprotocol/skills"


def advertise_extensions(server: Server[Host]) -> None:
    """Advertise the extensions: skills in both eras, and tasks since 2026-07-28."""
    skills = {"directoryRead": True}

    async def advertise(ctx: ServerRequestContext[Host, Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method == "initialize" and isinstance(result, dict):
            # The SDK drops `extensions` for clients before 2026-07-28, which then do not ask for skills.
            result["capabilities"].setdefault("extensions", {})[SKILLS] = skills
        return result

    server.extensions |= {TASKS: {}, SKILLS: skills}
    server.middleware.append(advertise)
