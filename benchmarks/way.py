"""The way of a call through the house: which modules it enters, from the parsed arguments to the request to MAAS.

    python benchmarks/way.py [TOOL]

A module is entered when a coroutine of it is called from another module: the way is what awaits, and not the values
that are made and read on it. Runs in one process, on the simulator and a virtual clock.
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

PACKAGES = ("maas_mcp.", "maas_deploy.", "maas_commission.", "maas_inventory.")
ASIDE = ("maas_mcp.maas.", "maas_mcp.testing", "maas_mcp.operations.cancellation", "maas_mcp.operations.watching")
"""The client and the watcher, which goes on beside it."""
CHANGE = MaasClient._change.__code__  # noqa: SLF001 - every change passes it
"""Sends a change to MAAS: the end of the way."""


class Way:
    """The modules that were entered, in order, until the first change was sent."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, str]] = []
        self.open = False
        self._seen: set[int] = set()
        self._frames: list[FrameType] = []
        """Kept, so that no other frame gets the number of one that was seen."""

    def note(self, frame: FrameType, event: str, _argument: object) -> None:
        """Take in a call; a coroutine that goes on is none."""
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
            self.moves.append((before or "", module))

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note what is called in the block."""
        sys.setprofile(self.note)
        try:
            yield
        finally:
            sys.setprofile(None)


def _module(frame: FrameType) -> str | None:
    name = str(frame.f_globals.get("__name__"))
    return name if name.startswith(PACKAGES) and not name.startswith(ASIDE) else None


async def follow(tool: str, way: Way) -> None:
    """Call a tool until MAAS is sent its request."""
    called = load_registry().tools[tool]
    with MaasRegion() as region:
        async with region.host() as host:
            given = {"system_id": region.machine("node01").system_id} if "machine" in tool else {}
            connection = host.host.connections.connect()
            with way.noted():
                way.open = True
                with anyio.move_on_after(30):
                    await run_call(
                        host.host, called, given, connection=connection, sender=lambda _token: discard_progress
                    )


def main() -> None:
    """Print the way."""
    tool = sys.argv[1] if len(sys.argv) > 1 else "maas_deploy_machine"
    way = Way()
    trio.run(follow, tool, way, clock=MockClock(autojump_threshold=0))
    for before, after in way.moves:
        print(f"{before or '-':48} -> {after}")
    entered = Counter(after for _, after in way.moves)
    print(f"\n{tool}: {len(way.moves)} moves, {len(entered)} modules")
    for module, times in entered.most_common():
        if times > 1:
            print(f"  {module}: entered {times} times")


if __name__ == "__main__":
    main()
