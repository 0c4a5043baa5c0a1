"""The simulated region of a plugin's test, which runs tools on itself in simulated time."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
import anyio.abc
import trio
from mcp_types import CallToolResult
from outcome import Outcome, acapture
from pydantic import BaseModel
from trio.testing import MockClock

from maas_mcp.operations.declaring.completion import Completion
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning
from maas_mcp.operations.declaring.questions import ClientRequest
from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, Tool
from maas_mcp.operations.progress import Progress
from maas_mcp.testing.clock import Clock, event_loop_clock
from maas_mcp.testing.host import SECRET, UNCONFIRMED, Host, open_host
from maas_mcp.testing.whole_server import call_tool
from maas_simulator import DEMO_USERS, SimulatedRegion, add_demo_machines, fill_region, serving

T = TypeVar("T")

HTTP_SPEED = 600.0
"""Simulated seconds per second while the region is served over HTTP. A deployment takes about a second."""
EPSILON = 1e-6
"""Seconds to add to a delay, because sums of floats are inexact."""


class MaasRegion(SimulatedRegion):
    """A simulated region for a test.

    It has twelve machines, ``node01`` to ``node12``, and the users ``admin`` and ``bob``. A YAML file, the ``world``,
    can define others; its speed is ignored.

    Simulated time passes only during ``advance(seconds)`` and :meth:`call`. A call takes its full time in the region,
    and almost no real time. After the first use of :attr:`url`, time runs 600 times faster than real time.

    Raises:
        ValueError: The file is not a valid world; the message has one line per problem.
        OSError: The file cannot be read.
    """

    def __init__(self, world: str | Path | None = None) -> None:
        self.progress: list[Progress] = []
        """The progress of the latest call, oldest first."""
        self.asked: dict[str, ClientRequest] = {}
        """The questions of the latest call, by key."""
        self.audit: list[Mapping[str, Any]] = []
        """The audit of the latest call: a line when it is admitted, and one with its outcome."""
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
        answers: Mapping[str, BaseModel] | None = None,
        **arguments: Any,
    ) -> ResultT:
        """Call a tool, or start an operation and follow it to its end, without MCP.

        Args:
            tool: The tool's or operation's class.
            machine: A hostname or system id, for the argument ``system_id``.
            username: The user whose API key is used.
            on_cancel: A cancel policy that replaces the operation's own.
            answers: The user's answers to ``ctx.ask``, by key. The user declines all other questions, also whether the
                call may destroy something. ``None`` for a client that cannot ask; such a call needs no confirmation.
                The questions are then in :attr:`asked`.
            arguments: The arguments as a client passes them.

        Raises:
            MaasMcpError: The arguments are invalid, the call failed, or the result does not match the class.
            RuntimeError: The operation was not started, because it was already running.
        """

        async def run(host: Host) -> ResultT:
            try:
                return await host.call(tool, machine, on_cancel=on_cancel, answers=answers, **arguments)
            finally:
                self.progress, self.asked, self.audit = host.progress, host.answers.asked, host.audit.lines

        return self._run(run, username)

    def read(
        self, resource: type[Resource], machine: str = "", /, *, username: str = "admin", **variables: str
    ) -> str | bytes:
        """Read a resource, without MCP.

        Args:
            resource: The resource's class.
            machine: A hostname or system id, for the variable ``system_id``.
            username: The user whose API key is used.
            variables: The values of the template's variables.

        Returns:
            Text, JSON text of a model, or bytes, as a client receives them.

        Raises:
            ResourceNotFoundError: There is no such resource.
            MaasMcpError: It could not be read.
        """
        return self._run(lambda host: host.read(resource, machine, **variables), username)

    def complete(self, completion: type[Completion], typed: str = "", /, *, username: str = "admin") -> list[str]:
        """Complete an argument, without MCP. Returns the values that begin with ``typed``, or have a name that does.

        Raises:
            MaasMcpError: The values could not be read.
        """
        return self._run(lambda host: host.complete(completion, typed), username)

    def call_tool(self, name: str, /, **arguments: Any) -> CallToolResult:
        """Call a tool by its name through MCP, on the complete server with all installed plugins.

        Returns the client's result, also for a failed call: see its ``is_error`` and ``structured_content``. Raises a
        ``PluginError`` with the reason if an installed plugin cannot be used.
        """

        async def run(host: Host) -> CallToolResult:
            self.progress, self.audit = [], host.audit.lines
            return await call_tool(host, name, arguments, self.progress)

        return self._run(run, "admin")

    def cancel(self) -> None:
        """Cancel the running :meth:`call`, as a client does. Use it with :meth:`after`."""
        if self._host is not None:
            self._host.cancel()

    def after(self, seconds: float, act: Callable[..., object], /, *arguments: Any, **options: Any) -> None:
        """Call a function after a number of simulated seconds: ``after(60, region.abort, "node01", "bob")``.

        While the region is served over HTTP, the function is called at the first request after that time.
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
        """The URL of the region over HTTP, ``http://127.0.0.1:PORT/MAAS``. The first use starts the HTTP server.

        During a :meth:`call` and in :meth:`host`, time passes as it does there, also for HTTP clients.

        Raises:
            RuntimeError: The first use was during such a call.
        """
        if self._host is not None:
            raise RuntimeError("The region cannot be served over HTTP during a call. Read its url before the call.")
        self.set_speed(HTTP_SPEED)
        self._open.enter_context(self._time.following(time.monotonic))
        return self._open.enter_context(serving(self))

    @property
    def environment(self) -> dict[str, str]:
        """The environment for a process that uses the region over HTTP, such as ``maas-mcp serve``.

        Calls that destroy something need no confirmation.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAAS_")}
        settings = {"MAAS_URL": self.url, "MAAS_API_KEY": self.api_key, "MAAS_MCP_POLL_INTERVAL": "0.05"}
        policy = UNCONFIRMED.model_dump_json(exclude_unset=True)
        own = {"MAAS_MCP_CONFIG": "", "MAAS_MCP_SECRET": SECRET, "MAAS_MCP_AUDIT": "off", "MAAS_MCP_POLICY": policy}
        return {**inherited, **settings, **own}

    @asynccontextmanager
    async def host(self, username: str = "admin") -> AsyncIterator[Host]:
        """Open a host for an async test on trio's ``MockClock``. Time passes as in its event loop."""
        with self._time.following(event_loop_clock()), self._at_speed(1.0):
            async with (
                open_host(self, lambda: self.schedule.epoch + self._time(), username) as host,
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

    def _run(self, run: Callable[[Host], Awaitable[T]], username: str) -> T:
        """Run a function on a virtual clock. Its exception is raised directly, and not in a group."""
        # trio.run, because anyio.run of anyio 4.10 does not take a clock.
        return trio.run(self._capture, run, username, clock=MockClock(autojump_threshold=0)).unwrap()

    async def _capture(self, run: Callable[[Host], Awaitable[T]], username: str) -> Outcome[T]:
        async with self.host(username) as host:
            return await acapture(run, host)

    async def _play_at(self, due: float) -> None:
        """Run the scheduled events at ``due``, even if the region receives no request then."""
        self.play()
        await anyio.sleep(max(0.0, due - self.schedule.moment) + EPSILON)
        self.play()

    @contextmanager
    def _at_speed(self, speed: float) -> Iterator[None]:
        before = self.schedule.speed
        self.set_speed(speed)
        try:
            yield
        finally:
            self.set_speed(before)
