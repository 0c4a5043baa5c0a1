"""Serves MCP on the process's stdin and stdout, with a clean shutdown.

The SDK's own transport passes every message through threads, exits on SIGTERM without cleanup, and waits for the end
of stdin after SIGINT. Here, pipes are read and written on the event loop, and a signal has the same effect as the end
of stdin.
"""

import asyncio
import logging
import os
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from io import StringIO
from typing import Final, TextIO

import anyio
from mcp.server import Server
from mcp.server.stdio import stdio_server

from maas_mcp.calls.connections import Connections
from maas_mcp.calls.host import Host
from maas_mcp.credentials.regions import LocalRegions
from maas_mcp.operations.timing import Timing
from maas_mcp.plugins.registry import Registry
from maas_mcp.server.app import build
from maas_mcp.server.catalogue import Catalogue, Configuration
from maas_mcp.server.incoming import Incoming, Messages, error_line
from maas_mcp.server.reloading import reloading
from maas_mcp.server.telemetry import telemetry_for
from maas_mcp.server.wire import Wire
from maas_mcp.settings import Settings

logger = logging.getLogger(__name__)

LINE_LIMIT: Final = 32 * 1024 * 1024
"""Maximum bytes of a message. User data may be large."""
Reply = Callable[[str], Awaitable[None]]
"""Sends a line to the client."""
FLUSH_TIMEOUT: Final = 0.5
"""Seconds to write pending responses after the end of input. Clients kill a server some two seconds after closing its
stdin."""


def serve(
    registry: Registry,
    settings: Settings,
    wire: Wire,
    timing: Timing | None = None,
    *,
    load: Callable[[], Configuration] | None = None,
    regions: LocalRegions | None = None,
) -> None:
    """Serve until the end of input, SIGTERM or SIGINT. Operations already started in MAAS continue.

    Args:
        registry: The plugins' tools.
        settings: The settings.
        wire: The client's end.
        timing: The time limits of operations.
        load: Reads the configuration and loads the plugins, at SIGHUP.
        regions: The user's regions; by default those of the settings.
    """
    regions = regions or LocalRegions(settings)
    catalogue = Catalogue(registry, settings, regions.names)

    async def run() -> None:
        async with reloading(catalogue, load):
            connections = Connections()
            telemetry = telemetry_for(settings)
            server = build(
                registry,
                settings,
                connections,
                telemetry.open_host(timing, regions),
                catalogue,
                middleware=telemetry.middleware,
            )
            await _serve(server, connections, wire)

    with wire.restored():
        anyio.run(run)


async def _serve(server: Server[Host], connections: Connections, wire: Wire) -> None:
    stdout = await _open_output(wire.writing)

    async def answer(line: str) -> None:
        await stdout.write(line)
        await stdout.flush()

    stdin = await _open_input(wire.reading, answer)
    _end_on_signals(stdin.close)

    with anyio.CancelScope() as scope:
        # The SDK only writes here, because it would parse each line a second time. It only needs `write` and `flush`,
        # although its annotation requires a whole file.
        async with stdio_server(stdin=anyio.wrap_file(StringIO()), stdout=stdout) as (nothing, writing):  # type: ignore[arg-type]
            await nothing.aclose()
            reading = Incoming(Messages(stdin, answer), connections.connect())
            await server.run(reading, writing, server.create_initialization_options())
            scope.deadline = anyio.current_time() + FLUSH_TIMEOUT


class _PipedInput:
    """Reads lines from a pipe on the event loop, in a tenth of the time that the SDK's threads take."""

    def __init__(self, lines: asyncio.StreamReader, pipe: asyncio.ReadTransport, answer: Reply) -> None:
        self._lines = lines
        self._pipe = pipe
        self._answer = answer
        self._closed = False

    def close(self) -> None:
        """Stop reading. Lines that have arrived and were not read are dropped: they must not start anything."""
        self._closed = True
        self._pipe.close()

    async def __aiter__(self) -> AsyncIterator[str]:
        skipped = 0
        while not self._closed:
            try:
                line = await self._lines.readuntil()
            except asyncio.LimitOverrunError as overrun:
                skipped += len(await self._lines.readexactly(overrun.consumed))
                continue
            except asyncio.IncompleteReadError as end:
                line = end.partial
            if skipped:
                await self._refuse(skipped + len(line))
                skipped = 0
            elif line:
                yield line.decode("utf-8", "replace")
            if not line.endswith(b"\n"):
                return

    async def _refuse(self, size: int) -> None:
        problem = f"it has {size:,} bytes, but the limit is {LINE_LIMIT:,}"
        logger.warning("dropped a line from the client: %s", problem)
        await self._answer(error_line(problem))


class _PipedOutput:
    """Writes messages to a pipe on the event loop."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream

    async def write(self, text: str) -> None:
        self._stream.write(text.encode())

    async def flush(self) -> None:
        with suppress(ConnectionError):  # the client no longer reads; the end of stdin follows
            await self._stream.drain()


class _FileInput:
    """Reads lines in a thread: from a plain file, and from everything on Windows."""

    def __init__(self, file: TextIO) -> None:
        self._file = anyio.wrap_file(file)
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[str]:
        async for line in self._file:
            if self._closed:
                return
            yield line

    def close(self) -> None:
        """Stop reading."""
        self._closed = True


async def _open_input(fd: int, answer: Reply) -> _PipedInput | _FileInput:
    if not _pollable(fd):
        return _FileInput(os.fdopen(fd, encoding="utf-8", errors="replace"))
    lines = asyncio.StreamReader(limit=LINE_LIMIT)
    protocol = asyncio.StreamReaderProtocol(lines)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(fd, "rb"))
    return _PipedInput(lines, pipe, answer)


async def _open_output(fd: int) -> _PipedOutput | anyio.AsyncFile[str]:
    if not _pollable(fd):
        return anyio.wrap_file(os.fdopen(fd, "w", encoding="utf-8"))
    loop = asyncio.get_running_loop()
    pipe, flow = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(fd, "wb"))
    pipe.set_write_buffer_limits(high=0)  # a flush must wait until the client has received everything
    return _PipedOutput(asyncio.StreamWriter(pipe, flow, None, loop))


def _pollable(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return os.name == "posix" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd))


def _end_on_signals(end: Callable[[], None]) -> None:
    """Let the first signal end the input. A second signal has its default effect."""
    if os.name != "posix":
        return  # the event loop handles signals only on POSIX
    loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)

    def on_signal() -> None:
        for each in signals:
            loop.remove_signal_handler(each)
        end()

    for each in signals:
        loop.add_signal_handler(each, on_signal)
