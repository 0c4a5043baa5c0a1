"""Measures a call through the chain with policy and audit, and without them, alternately.

    python benchmarks/policy_cost.py [CALLS]

The tools do nothing, so that only the chain is measured: one only reads, and one counts as a change. Prints medians in
microseconds and the difference, which should be at most 50.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio
from pydantic import BaseModel, SecretStr

from maas_mcp.api import Effects, Tool, ToolContext
from maas_mcp.calls import chain
from maas_mcp.calls.host import Host, open_host
from maas_mcp.operations.progress import discard_progress
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.policy.configuration import Mode, Policy
from maas_mcp.policy.limits import Limit
from maas_mcp.settings import Settings


class Arguments(BaseModel):
    """One argument, as most calls have a few."""

    name: str = "web01"


class Read(Tool[Arguments, Arguments]):
    """Read nothing."""

    name = "bench_read"
    read_only = True

    async def run(self, ctx: ToolContext, args: Arguments) -> Arguments:  # noqa: ARG002 - it does nothing
        """Return the arguments."""
        return args


class Change(Read):
    """Change nothing, but count as a change."""

    name = "bench_change"
    read_only = False
    limit = "bench"

    def effects(self, args: Arguments) -> Effects:  # noqa: ARG002 - always the same
        """A change that destroys nothing and names no machine."""
        return Effects(allocates=1)


async def seconds(host: Host, tool: AnyTool) -> float:
    """The CPU time of one call, which other processes do not prolong."""
    connection = host.connections.connect()
    began = time.process_time()
    await chain.run_call(host, tool, {"name": "web02"}, connection=connection, sender=lambda _token: discard_progress)
    return time.process_time() - began


async def main(calls: int) -> None:
    """Measure both tools."""
    tools: list[AnyTool] = [Read(), Change()]
    steps = chain.STEPS
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(
            maas_url="http://127.0.0.1:9/MAAS",
            maas_api_key=SecretStr("consumer:token:secret"),
            secret=(SecretStr("signs the ids of a benchmark"),),
            audit=Path(directory) / "audit.jsonl",
            policy=Policy(modes={"standard": Mode(destroy="allow")}, limits={"bench": Limit(per_call=5)}),
        )
        async with open_host(settings, {each.name: each for each in tools}) as host:
            for tool in tools:
                found: dict[bool, list[float]] = {True: [], False: []}
                for number in range(2 * calls):
                    whole = number % 2 == 0
                    chain.STEPS = steps if whole else ()  # type: ignore[misc] # to compare with a chain without steps
                    found[whole].append(await seconds(host, tool))
                with_all, without = (statistics.median(found[each]) * 1e6 for each in (True, False))
                print(f"{tool.name}: {with_all:.0f} µs, without {without:.0f} µs: {with_all - without:+.0f} µs")


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
