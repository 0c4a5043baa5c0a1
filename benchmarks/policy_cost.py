"""Measures a call through the chain with policy and audit, and without them, alternately.

    python benchmarks/policy_cost.py [CALLS]

The tools do nothing, so that only the chain is measured: one only reads, one counts as a change, and one counts for a
limit per hour as well. Prints medians of CPU time in microseconds: a call with and without all steps, the difference,
and its parts, each measured alone. The aim is a difference of 50. The floor is the time of the system calls for the
audit's two lines, without any other work: `docs/explanation/audit.md` explains why a change exceeds the aim.
"""

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Final

import anyio
from pydantic import BaseModel, SecretStr

from maas_mcp.api import Effects, Tool, ToolContext
from maas_mcp.audit.lines import HEAD_BYTES
from maas_mcp.calls import chain
from maas_mcp.calls.approval import approve
from maas_mcp.calls.audit import recording_outcome
from maas_mcp.calls.audited_call import admit_current
from maas_mcp.calls.call import CallResult, ToolCall
from maas_mcp.calls.guard import check_policy
from maas_mcp.calls.host import Host, open_host
from maas_mcp.calls.limiting import counting_machines
from maas_mcp.operations.progress import discard_progress
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.policy.configuration import Mode, Policy
from maas_mcp.policy.limits import Limit
from maas_mcp.settings import Settings

ALL: Final = chain.run_steps
RUN: Final = chain._run  # noqa: SLF001 - to measure the steps before it one by one
ROUNDS: Final = 10
LINE: Final = 400
"""The length of a line."""
Steps = Callable[..., Awaitable[CallResult]]
"""Runs a call after all steps, or some."""


async def nothing(call: ToolCall, run: object = None) -> CallResult:  # noqa: ARG001 - as the chain's own
    """Run a call without steps."""
    return await RUN(call)


async def judgement(call: ToolCall, run: object = None) -> CallResult:  # noqa: ARG001
    """Run a call after the policy has judged it."""
    return await RUN(await approve(await check_policy(call)))


async def limits(call: ToolCall, run: object = None) -> CallResult:  # noqa: ARG001
    """Run a call whose machines are counted."""
    async with counting_machines(call) as counted:
        counted.result = await RUN(call)
    return counted.result


async def audit(call: ToolCall, run: object = None) -> CallResult:  # noqa: ARG001
    """Run a call that the audit records."""
    async with recording_outcome(call) as recorded:
        if call.effects.changes:
            await admit_current(call.tenant.known_username)
        recorded.result = await RUN(call)
    return recorded.result


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


class CountedChange(Change):
    """A change that a limit per hour counts."""

    name = "bench_counted"
    limit = "counted"

    def effects(self, args: Arguments) -> Effects:  # noqa: ARG002 - always the same
        """A change of no machine, so that the limit is never reached."""
        return Effects(changes=True)


async def seconds(host: Host, tool: AnyTool) -> float:
    """The CPU time of one call, which other processes do not prolong."""
    connection = host.connections.connect()
    began = time.process_time()
    await chain.run_call(host, tool, {"name": "web02"}, connection=connection, sender=lambda _token: discard_progress)
    return time.process_time() - began


async def measure(host: Host, tool: AnyTool, steps: Steps, calls: int) -> tuple[float, float]:
    """The median time of a call with these steps, and of one without steps, which alternate.

    The fastest of several rounds counts, because other processes slow the processor down.
    """
    rounds = []
    for _ in range(ROUNDS):
        found: dict[Steps, list[float]] = {steps: [], nothing: []}
        for _ in range(calls // ROUNDS):
            for each, took in found.items():
                chain.run_steps = each  # type: ignore[assignment] # some steps only
                took.append(await seconds(host, tool))
        rounds.append((median(found[nothing]) * 1e6, median(found[steps]) * 1e6))
    without, took_with = min(rounds)
    return took_with, without


async def report(host: Host, tool: AnyTool, parts: Mapping[str, Steps], calls: int) -> None:
    """Measure the calls of a tool, and print them."""
    took, without = await measure(host, tool, ALL, calls)
    print(f"{tool.name}: {took:.0f} µs, without {without:.0f} µs: {took - without:+.0f} µs", end=" (")
    shown = []
    for name, steps in parts.items():
        took, without = await measure(host, tool, steps, calls)
        shown.append(f"{name} {took - without:+.0f}")
    print(", ".join(shown), end=")\n")


class Floor:
    """The system calls alone with which the audit writes its two lines, before and after a call."""

    def __init__(self, directory: Path) -> None:
        self._log_path, self._head_path = str(directory / "floor.jsonl"), str(directory / "floor.jsonl.head")
        self._log = os.open(self._log_path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
        self._head = os.open(self._head_path, os.O_CREAT | os.O_RDWR, 0o600)
        self._line, self._newest = b"x" * LINE, b"x" * HEAD_BYTES

    async def __call__(self, call: ToolCall, run: object = None) -> CallResult:  # noqa: ARG002
        """Write a line, run the call, and write another line."""
        if not call.effects.changes:
            return await RUN(call)
        self._append()
        result = await RUN(call)
        self._append()
        return result

    def _append(self) -> None:
        fcntl.flock(self._head, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.lstat(self._head_path)
        os.lstat(self._log_path)
        os.write(self._log, self._line)
        os.lseek(self._head, 0, os.SEEK_SET)
        os.write(self._head, self._newest)
        fcntl.flock(self._head, fcntl.LOCK_UN)


async def main(calls: int) -> None:
    """Measure each tool."""
    tools: list[AnyTool] = [Read(), Change(), CountedChange()]
    with tempfile.TemporaryDirectory() as directory:
        parts: Mapping[str, Steps] = {
            "judgement": judgement,
            "limits": limits,
            "audit": audit,
            "floor of the audit": Floor(Path(directory)),
        }
        settings = Settings(
            maas_url="http://127.0.0.1:9/MAAS",
            maas_api_key=SecretStr("consumer:token:secret"),
            secret=(SecretStr("signs the ids of a benchmark"),),
            audit=Path(directory) / "audit.jsonl",
            policy=Policy(
                modes={"standard": Mode(destroy="allow")},
                limits={"bench": Limit(per_call=5), "counted": Limit(per_hour=5)},
            ),
        )
        async with open_host(settings, {each.name: each for each in tools}) as host:
            for tool in tools:
                await report(host, tool, parts, calls)


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
