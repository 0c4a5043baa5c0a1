"""The region that a plugin's test is given: the simulator's, with the host at hand, and time that hurries."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
import anyio.abc
import trio
from mcp_types import CallToolResult
from outcome import Outcome, acapture
from trio.testing import MockClock

from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, Tool
from maas_mcp.operations.progress import Progress
from maas_mcp.testing.clock import Clock, clock_of_the_loop
from maas_mcp.testing.host import SECRET, Host, hosting
from maas_mcp.testing.whole_server import call_tool
from maas_simulator import DEMO_USERS, SimulatedRegion, add_demo_machines, fill_region, serving

T = TypeVar("T")

HURRY = 600.0
"""Simulated seconds a second while the region is served over HTTP: a deployment takes a second."""
MOMENT = 1e-6
"""Seconds that make sure of a time's having come, which is no exact sum."""


class MaasRegion(SimulatedRegion):
    """A simulated region for a test: twelve machines, ``node01`` to ``node12``, and the users ``admin`` and ``bob``.

    Or else it is that of a ``world``, a file in YAML of which everything counts but the speed.

    Its time stands still until a test moves it, with ``advance(seconds)`` or by a :meth:`call`: one takes as long in
    the region as the operation does, and next to nothing outside. Once :attr:`url` was asked for, time runs 600 times
    as fast as real time does.

    Raises:
        ValueError: The file is no world; the message has a line for each thing that is wrong.
        OSError: It cannot be read.
    """

    def __init__(self, world: str | Path | None = None) -> None:
        self.progress: list[Progress] = []
        """What the latest call told, oldest first."""
        self._time = Clock()
        self._due: list[float] = []
        self._host: Host | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._open = ExitStack()
        super().__init__(DEMO_USERS, clock=self._time, epoch=int(time.time()))
        if world is None:
            add_demo_machines(self)
        else:
            fill_region(self, Path(world))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def messages(self) -> list[str]:
        """The texts of :attr:`progress`."""
        return [progress.message for progress in self.progress]

    def call(
        self,
        tool: type[Tool[ArgsT, ResultT]] | type[LongRunning[ArgsT, ResultT]],
        machine: str = "",
        /,
        *,
        username: str = "admin",
        on_cancel: CancelPolicy | None = None,
        **arguments: Any,
    ) -> ResultT:
        """Call a tool, or start an operation and follow it to its end, without MCP.

        Args:
            tool: The class.
            machine: A hostname or a system id, for the argument ``system_id``.
            username: Whose API key is used.
            on_cancel: What cancelling does to the operation, instead of its own policy.
            arguments: As a client gives them.

        Raises:
            MaasMcpError: The arguments do not fit, it failed, or its result is not what the class declares.
            RuntimeError: The operation was under way before, and so it was not started.
        """

        async def story(host: Host) -> ResultT:
            try:
                return await host.call(tool, machine, on_cancel=on_cancel, **arguments)
            finally:
                self.progress = host.progress

        return self._run(story, username)

    def call_tool(self, name: str, /, **arguments: Any) -> CallToolResult:
        """Call a tool by its name through MCP and the whole server, with every plugin that is installed.

        Returns what a client gets, of a call that failed as well: see its ``is_error`` and ``structured_content``. One
        plugin that cannot be used, and nothing is called: the error that is raised says why.
        """

        async def story(host: Host) -> CallToolResult:
            self.progress = []
            return await call_tool(host, name, arguments, self.progress)

        return self._run(story, "admin")

    def cancel(self) -> None:
        """Cancel the :meth:`call` under way, as a client does; :meth:`after` may be told to."""
        if self._host is not None:
            self._host.cancel()

    def after(self, seconds: float, act: Callable[..., object], /, *arguments: Any, **options: Any) -> None:
        """Let something happen in so many simulated seconds: ``after(60, region.abort, "node01", "bob")``.

        While the region is served over HTTP it happens at the first request from then on.
        """

        def happen() -> None:
            act(*arguments, **options)

        with self.lock:
            self.play()
            self.schedule.after(seconds, happen)
            self._due.append(self.schedule.moment + seconds)
        if self._tasks is not None:
            self._tasks.start_soon(self._play_at, self._due[-1])

    @cached_property
    def url(self) -> str:
        """Where the region is served over HTTP from now on: ``http://127.0.0.1:PORT/MAAS``.

        Amid a :meth:`call` or in :meth:`host` time goes on passing as it does there, for who comes over HTTP as well.

        Raises:
            RuntimeError: It was not asked for before such a call.
        """
        if self._host is not None:
            raise RuntimeError("a region is not served from amid a call; ask for its url before, and then call")
        self.set_speed(HURRY)
        self._open.enter_context(self._time.following(time.monotonic))
        return self._open.enter_context(serving(self))

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that is to use the region over HTTP, such as ``maas-mcp serve``."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAAS_")}
        settings = {"MAAS_URL": self.url, "MAAS_API_KEY": self.api_key, "MAAS_MCP_POLL_INTERVAL": "0.05"}
        return {**inherited, **settings, "MAAS_MCP_CONFIG": "", "MAAS_MCP_SECRET": SECRET}

    @asynccontextmanager
    async def host(self, username: str = "admin") -> AsyncIterator[Host]:
        """The host, for a test that is async itself and on trio's ``MockClock``: time passes as in its event loop."""
        with self._time.following(clock_of_the_loop()), self._at_speed(1.0):
            async with (
                hosting(self, lambda: self.schedule.epoch + self._time(), username) as host,
                anyio.create_task_group() as tasks,
            ):
                self._host, self._tasks = host, tasks
                for due in self._due:
                    tasks.start_soon(self._play_at, due)
                try:
                    yield host
                finally:
                    self._host = self._tasks = None
                    tasks.cancel_scope.cancel()

    def _run(self, story: Callable[[Host], Awaitable[T]], username: str) -> T:
        """Run a story on a virtual clock. What it raises is raised as it is, and not in a group."""
        # Not by anyio.run: anyio 4.10 keeps the clock to itself.
        return trio.run(self._tell, story, username, clock=MockClock(autojump_threshold=0)).unwrap()

    async def _tell(self, story: Callable[[Host], Awaitable[T]], username: str) -> Outcome[T]:
        async with self.host(username) as host:
            return await acapture(story, host)

    async def _play_at(self, due: float) -> None:
        """Let happen what is due, also while nobody asks the region for anything."""
        self.play()
        await anyio.sleep(max(0.0, due - self.schedule.moment) + MOMENT)
        self.play()

    @contextmanager
    def _at_speed(self, speed: float) -> Iterator[None]:
        before = self.schedule.speed
        self.set_speed(speed)
        try:
            yield
        finally:
            self.set_speed(before)
