"""The stdio runner: MCP on the process's own stdin and stdout, and one clean way out.

The SDK's own transport moves every message through threads, dies of SIGTERM without cleaning up, and waits for the end
of stdin after SIGINT. Here stdin and stdout are pipes on the event loop, and a signal does what the end of stdin does.
"""

import asyncio
import logging
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

import anyio
from mcp.server.stdio import stdio_server

from maas_mcp.plugins.registry import Registry
from maas_mcp.server.app import build
from maas_mcp.server.calls import Calls
from maas_mcp.server.wire import Wire
from maas_mcp.settings import Settings

logger = logging.getLogger(__name__)

LINE_LIMIT: Final = 32 * 1024 * 1024
"""Bytes in one message: user data may be large, but not endless."""
LAST_WORDS: Final = 0.5
"""Seconds to write what is left once the client has gone: it kills about two seconds after it closed stdin."""


def serve(registry: Registry, settings: Settings, wire: Wire) -> None:
    """Serve until stdin ends, or SIGTERM or SIGINT arrives. What is being followed is left to MAAS."""
    anyio.run(_serve, registry, settings, wire)


async def _serve(registry: Registry, settings: Settings, wire: Wire) -> None:
    calls = Calls()
    server = build(registry, settings, calls)
    on_pipes = _pollable(wire.reading) and _pollable(wire.writing)
    stdin, stdout = await _pipes(wire, calls.connection_lost) if on_pipes else _files(wire)
    with anyio.CancelScope() as scope:
        # The SDK asks of a stream to be iterated, written and flushed; its annotation names a whole file.
        async with stdio_server(stdin=stdin, stdout=stdout) as (reading, writing):  # type: ignore[arg-type]
            await server.run(reading, writing, server.create_initialization_options())
            scope.deadline = anyio.current_time() + LAST_WORDS


class _Lines:
    """The client's messages, a line each."""

    def __init__(self, stream: asyncio.StreamReader, at_end: Callable[[], None]) -> None:
        self._stream = stream
        self._at_end = at_end

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            try:
                line = await self._stream.readline()
            except ValueError:
                logger.warning("dropped a message of more than %d bytes", LINE_LIMIT)
                continue
            if not line:
                self._at_end()
                return
            yield line.decode("utf-8", "replace")


class _Text:
    """Our messages, a line each."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream

    async def write(self, text: str) -> None:
        self._stream.write(text.encode())

    async def flush(self) -> None:
        with suppress(ConnectionError):  # the client no longer reads; the end of stdin says the rest
            await self._stream.drain()


async def _pipes(wire: Wire, at_end: Callable[[], None]) -> tuple[_Lines, _Text]:
    """Pipes on the event loop, which take a tenth of the time that the SDK's threads do."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LINE_LIMIT)
    reading, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(wire.reading, "rb")
    )
    writing, flow = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(wire.writing, "wb"))
    writing.set_write_buffer_limits(high=0)  # so that a flush waits until the client's side has it all
    _end_on_signals(loop, reading.close)
    return _Lines(lines, at_end), _Text(asyncio.StreamWriter(writing, flow, None, loop))


def _files(wire: Wire) -> tuple[anyio.AsyncFile[str], anyio.AsyncFile[str]]:
    """Plain files, and everything on Windows: read and written in threads."""
    reading = os.fdopen(wire.reading, encoding="utf-8", errors="replace")
    writing = os.fdopen(wire.writing, "w", encoding="utf-8")
    return anyio.wrap_file(reading), anyio.wrap_file(writing)


def _pollable(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return os.name == "posix" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd))


def _end_on_signals(loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
    """Let the first signal end the input; a second one does what it always does."""
    signals = (signal.SIGTERM, signal.SIGINT)

    def on_signal() -> None:
        for each in signals:
            loop.remove_signal_handler(each)
        end()

    for each in signals:
        loop.add_signal_handler(each, on_signal)
