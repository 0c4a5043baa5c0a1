"""An MCP client for people: starts the real server as a subprocess and speaks to it over stdio."""

import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TextIO

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Implementation, TextContent, Tool
from pydantic import ValidationError

from maas_mcp import __version__
from maas_mcp.cli.bars import Bar
from maas_mcp.cli.common import EXIT_FAILURE, EXIT_USAGE
from maas_mcp.errors import InvalidArgumentsError, ServerError, SettingsError
from maas_mcp.server.tools import ERROR_META

SERVER: Final = ("-P", "-m", "maas_mcp", "serve")
"""The server of this very installation. ``-P``: nothing is imported from the working directory."""
LAST_LINES: Final = 1.0
"""Seconds to wait for what the server still has to say on stderr after it has ended."""


@asynccontextmanager
async def mcp_client(environment: Mapping[str, str], show: Callable[[str], None]) -> AsyncIterator[Client]:
    """A client that is connected to a server of its own. Cancelling a call cancels it on the server, too.

    Args:
        environment: The server's environment.
        show: Gets each line that the server writes to stderr, from another thread.

    Raises:
        ServerError: The server did not start, or ended too early.
    """
    logging.getLogger("mcp").addHandler(logging.NullHandler())  # what it would log is raised as well, or the server's
    failure: Exception | None = None
    with _lines_to(show) as stderr:
        server = StdioServerParameters(command=sys.executable, args=list(SERVER), env=dict(environment))
        transport = stdio_client(server, errlog=stderr)
        try:
            async with Client(transport, client_info=Implementation(name="maas-mcp", version=__version__)) as client:
                try:
                    yield client
                except Exception as error:  # noqa: BLE001 - raised again below, outside the SDK's task groups
                    failure = _first(error)
        except Exception as error:  # noqa: BLE001 - likewise
            failure = failure or _first(error)
    if isinstance(failure, MCPError):
        raise ServerError(f"The MCP server failed: {failure}.", hint="Any messages of the server are shown above.")
    if failure is not None:
        raise failure


async def tools_of(client: Client) -> dict[str, Tool]:
    """The server's tools by name, in its order."""
    tools: dict[str, Tool] = {}
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        tools.update((tool.name, tool) for tool in page.tools)
        cursor = page.next_cursor
        if cursor is None:
            return tools


def require(tools: Mapping[str, Tool], *names: str) -> None:
    """Make sure that these tools are there.

    Raises:
        ServerError: One is not, since its plugin is not installed, or blocked.
    """
    missing = [name for name in names if name not in tools]
    if missing:
        raise ServerError(
            f"The server has no {' and no '.join(missing)}.",
            hint="`pip install maas-mcp` installs this project's plugins; `maas-mcp plugins` lists those installed.",
        )


async def call_tool(
    client: Client, name: str, arguments: dict[str, Any], on_progress: ProgressFnT | None = None
) -> CallToolResult:
    """Call a tool.

    Raises:
        ServerError: Its answer does not fit its own output schema.
    """
    try:
        return await client.call_tool(name, arguments, progress_callback=on_progress)
    except (RuntimeError, ValidationError):
        problem = f"The result of {name} does not match its output schema. This is a bug in its plugin."
    raise ServerError(problem)


async def call_with_bar(client: Client, name: str, arguments: dict[str, Any], bar: Bar) -> CallToolResult:
    """Call a tool, with a bar that shows how far it is and how it ends.

    Raises:
        ServerError: Its answer does not fit its own output schema.
    """
    try:
        result = await call_tool(client, name, arguments, bar.news)
    except BaseException:
        bar.stop("stopped")
        raise
    end_bar(bar, result)
    return result


def end_bar(bar: Bar, result: CallToolResult, *, failed: str = "failed") -> None:
    """End the bar as the operation stands: a call may answer while it goes on, or may report how it has failed.

    Args:
        bar: The call's.
        result: What the call has answered.
        failed: What the bar says if the call has failed.
    """
    report = result.structured_content or {}
    state = report.get("state") if "operation_id" in report else None
    if result.is_error:
        bar.fail(failed)
    elif state == "working":
        bar.stop("still running", report.get("progress"))
    elif state == "partly_succeeded":
        bar.stop("partly succeeded", report.get("progress"))
    elif state in {None, "succeeded"}:
        bar.succeed(report.get("message", "") if state else "")
    else:
        bar.fail(str(state).replace("_", " "))


def text_of(result: CallToolResult) -> str:
    """What a result says to people."""
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def exit_code_of(result: CallToolResult) -> int:
    """The exit code for a tool's answer."""
    if not result.is_error:
        return 0
    error = (result.meta or {}).get(ERROR_META)
    code = error.get("code") if isinstance(error, dict) else None
    return EXIT_USAGE if code in {InvalidArgumentsError.code, SettingsError.code} else EXIT_FAILURE


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def _lines_to(show: Callable[[str], None]) -> Iterator[TextIO]:
    """A file for a subprocess to write to, whose lines ``show`` gets: it may be drawing bars on the same terminal."""
    reading, writing = os.pipe()

    def pump() -> None:
        with os.fdopen(reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                show(line.rstrip("\n"))

    thread = threading.Thread(target=pump, name="server-stderr", daemon=True)
    thread.start()
    try:
        with os.fdopen(writing, "w", encoding="utf-8") as file:
            yield file
    finally:
        thread.join(LAST_LINES)
