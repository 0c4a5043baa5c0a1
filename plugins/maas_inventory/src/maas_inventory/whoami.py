"""The tool that shows who the caller is in MAAS, and what MAAS and the site allow."""

from typing import Final

from pydantic import BaseModel, Field

from maas_inventory.arguments import Text
from maas_inventory.completions import read_names
from maas_mcp.api import MachineText, Tool, ToolContext, quoted

MAX_POOLS: Final = 50
"""Resource pools that the answer names."""
RESPONSES: Final = {
    "allow": "allowed",
    "confirm": "allowed after the user has confirmed",
    "plan": "allowed with a plan",
    "refuse": "refused",
}


class Question(BaseModel, defer_build=True):
    """A tool to ask about."""

    tool: Text | None = Field(default=None, description="Also report whether this tool can be used.")


class Identity(BaseModel, defer_build=True):
    """The caller's user, and what it may do."""

    username: str
    administrator: bool
    region_version: str
    pools: list[MachineText] = Field(description="Resource pools that the user sees.")
    mode: str = Field(description="The site's mode.")
    operate: str = Field(description="Response to calls that lose no workload or data.")
    destroy: str = Field(description="Response to calls that can lose them.")
    protected: dict[str, list[str]] = Field(description="Machines that no tool may change.")
    tools_left_out: int
    tool: str | None = Field(default=None, description="Whether the tool can be used, or why not.")


class WhoAmI(Tool[Question, Identity]):
    """Show who you are in MAAS (whoami) and what you may do: administrator or not, region version, policy of the site.

    Each call is still checked against the policy.
    """

    name = "maas_whoami"
    toolset = "inventory"
    list_position = 54
    title = "Show who I am"
    read_only = True

    async def run(self, ctx: ToolContext, args: Question) -> Identity:
        """Send one request each for the user, the version and the resource pools."""
        user, version = await ctx.maas.whoami(), await ctx.maas.version()
        pools = await read_names(ctx, "pool")
        more = [f"… and {len(pools) - MAX_POOLS:,} more"] if len(pools) > MAX_POOLS else []
        access = ctx.access
        return Identity(
            username=user.username,
            administrator=user.is_superuser,
            region_version=version,
            pools=[*pools[:MAX_POOLS], *more],
            mode=access.mode,
            operate=access.operate,
            destroy=access.destroy,
            protected={name: list(values) for name, values in access.protected.items()},
            tools_left_out=len(access.left_out),
            tool=_judge(ctx, args.tool),
        )

    def summary(self, result: Identity) -> str:
        """Who the caller is, then one line for each fact."""
        who = "a MAAS administrator" if result.administrator else "a MAAS user without administrator rights"
        protected = "; ".join(f"{name} {', '.join(map(quoted, values))}" for name, values in result.protected.items())
        lines = [
            f"You are {quoted(result.username)}, {who}, on MAAS {quoted(result.region_version)}.",
            f"Resource pools: {', '.join(map(quoted, result.pools)) or 'none'}.",
            f"Mode {result.mode}: changes are {RESPONSES.get(result.operate, result.operate)}.",
            f"Changes that can lose a workload or data are {RESPONSES.get(result.destroy, result.destroy)}.",
            f"Protected machines: {protected or 'none'}.",
            *([f"{result.tools_left_out} tools are left out."] if result.tools_left_out else []),
            *([result.tool] if result.tool else []),
        ]
        return "\n".join(lines)


def _judge(ctx: ToolContext, tool: str | None) -> str | None:
    if tool is None:
        return None
    if tool in ctx.access.tools:
        return f"{tool} can be used."
    return ctx.access.left_out.get(tool) or f"There is no tool {quoted(tool)}."
