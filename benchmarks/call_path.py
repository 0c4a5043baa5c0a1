"""Prints the modules that a tool call enters, from its parsed arguments to the request to MAAS.

    python benchmarks/call_path.py [TOOL]

A call enters a module when a coroutine of the module is called from another module. Plain function calls do not count.
Runs in one process, on the simulator and a virtual clock.
"""

import inspect
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
import trio
from trio.testing import MockClock

from maas_mcp.calls.chain import run_call
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.progress import discard_progress
from maas_mcp.plugins.registry import load_registry
from maas_mcp.testing import MaasRegion

PACKAGES = ("maas_mcp.", "maas_deploy.", "maas_commission.", "maas_configure.", "maas_inventory.")
EXCLUDED = ("maas_mcp.maas.", "maas_mcp.testing", "maas_mcp.operations.cancellation", "maas_mcp.operations.watching")
"""Modules that are not part of the path: the client, and the watcher, which runs in its own task."""
CHANGE = MaasClient._change.__code__  # noqa: SLF001 - every change goes through it
"""The code that sends a change to MAAS, which ends the path."""


class CallPath:
    """Records the modules that a call enters, in order, until it sends the first change."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        self.open = False
        self._seen: set[int] = set()
        self._frames: list[FrameType] = []
        """Keeps the frames alive, so that no new frame reuses the id of a recorded one."""

    def record(self, frame: FrameType, event: str, _argument: object) -> None:
        """Record a call. A coroutine that resumes is ignored."""
        if not self.open or event != "call" or id(frame) in self._seen:
            return
        if frame.f_code is CHANGE:
            self.open = False
            return
        self._seen.add(id(frame))
        self._frames.append(frame)
        module = _module(frame)
        if module is None or not frame.f_code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            return
        caller = frame.f_back
        while caller is not None and _module(caller) is None:
            caller = caller.f_back
        before = _module(caller) if caller is not None else None
        if before != module:
            self.entries.append((before or "", module))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the calls in the block."""
        sys.setprofile(self.record)
        try:
            yield
        finally:
            sys.setprofile(None)


def _module(frame: FrameType) -> str | None:
    name = str(frame.f_globals.get("__name__"))
    return name if name.startswith(PACKAGES) and not name.startswith(EXCLUDED) else None


async def trace(tool: str, path: CallPath) -> None:
    """Call a tool until it sends a change to MAAS."""
    called = load_registry().tools[tool]
    with MaasRegion() as region:
        async with region.host() as host:
            given = {"system_id": region.machine("node01").system_id} if "machine" in tool else {}
            connection = host.host.connections.connect()
            with path.recording():
                path.open = True
                with anyio.move_on_after(30):
                    await run_call(
                        host.host, called, given, connection=connection, sender=lambda _token: discard_progress
                    )


def main() -> None:
    """Print the path."""
    tool = sys.argv[1] if len(sys.argv) > 1 else "maas_deploy_machine"
    path = CallPath()
    trio.run(trace, tool, path, clock=MockClock(autojump_threshold=0))
    for before, after in path.entries:
        print(f"{before or '-':48} -> {after}")
    entered = Counter(after for _, after in path.entries)
    print(f"\n{tool}: {len(path.entries)} moves, {len(entered)} modules")
    for module, times in entered.most_common():
        if times > 1:
            print(f"  {module}: entered {times} times")


if __name__ == "__main__":
    main()
