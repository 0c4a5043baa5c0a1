"""Measures the cost of the audit: a line, a line after another process has appended, and a call's two lines.

    python benchmarks/audit.py [LINES]

Prints the 50th and 99th percentile in microseconds. A call that reads appends nothing.
"""

import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles
from types import SimpleNamespace
from typing import Any

import anyio
from pydantic import BaseModel

from maas_mcp.audit.file import AuditFile
from maas_mcp.calls.arguments import CallOptions, ClientFeatures
from maas_mcp.calls.audit import recording_outcome
from maas_mcp.calls.audited_call import admit_current
from maas_mcp.calls.call import CallResult
from maas_mcp.operations.declaring.effects import Effects


class Arguments(BaseModel):
    """The arguments of a deployment."""

    system_id: str = "4y3h7n"
    osystem: str = "ubuntu"
    distro_series: str = "noble"


LINE = {"event": "admitted", "call": "0123456789abcdef", "tool": "maas_deploy_machine", "arguments": {"a": "b" * 200}}
DONE = CallResult(result=None, content=None)


def call(log: AuditFile | None, *, changes: bool = True) -> Any:
    """Return the parts of a call that the audit reads."""
    return SimpleNamespace(
        host=SimpleNamespace(audit=log),
        tenant=SimpleNamespace(known_username="admin"),
        tool=SimpleNamespace(name="maas_deploy_machine"),
        principal=SimpleNamespace(name="alice"),
        client=ClientFeatures(name="client"),
        arguments=Arguments(),
        options=CallOptions(),
        rehearsal=None,
        effects=Effects(changes=changes),
    )


async def run(called: Any) -> None:
    """Record a call that does nothing."""
    async with recording_outcome(called) as recorded:
        if called.effects.changes:
            await admit_current("admin")
        recorded.result = DONE


async def measure(label: str, times: int, act: Callable[[], Awaitable[object]]) -> None:
    """Print how long an act takes."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await act()
        took.append((time.perf_counter() - began) * 1e6)
    cuts = quantiles(took, n=100)
    print(f"{label:42}{cuts[49]:8.1f}{cuts[98]:8.1f}")


async def main(times: int) -> None:
    """Measure each kind."""
    print(f"{'µs':42}{'p50':>8}{'p99':>8}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.jsonl"
        one, two = AuditFile(path), AuditFile(path)

        async def alternately() -> None:
            two.append(LINE)
            await one.write(LINE)

        await measure("a line", times, lambda: one.write(LINE))
        await measure("two lines of two processes, alternately", times, alternately)
        await measure("a call that changes something, both lines", times, lambda: run(call(one)))
        await measure("the same without an audit", times, lambda: run(call(None)))
        await measure("a call that reads", times, lambda: run(call(one, changes=False)))


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
