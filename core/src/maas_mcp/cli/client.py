"""The MCP client of the command line: starts the real server as a subprocess and connects to it over stdio."""

import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TextIO

from mcp.client import Client
from mcp.client.session import ElicitationFnT
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
"""Arguments that make this Python run this installation's server. ``-P`` keeps the working directory off the path."""
STDERR_TIMEOUT: Final = 1.0
"""Seconds to wait for the last lines of the server's stderr after it has exited."""


@asynccontextmanager
async def mcp_client(
    environment: Mapping[str, str], show: Callable[[str], None], ask: ElicitationFnT | None = None
) -> AsyncIterator[Client]:
    """Start a server and connect a client to it. Cancelling a call on the client cancels it on the server.

    Args:
        environment: The server's environment.
        show: Called from another thread with each line that the server writes to stderr.
        ask: Asks the user what the server asks; ``None`` if nobody can answer.

    Raises:
        ServerError: The server did not start, or exited while it was in use.
    """
    logging.getLogger("mcp").addHandler(logging.NullHandler())  # the SDK raises its errors as well as logging them
    failure: Exception | None = None
    with _pipe_lines_to(show) as stderr:
        server = StdioServerParameters(command=sys.executable, args=list(SERVER), env=dict(environment))
        transport = stdio_client(server, errlog=stderr)
        try:
            info = Implementation(name="maas-mcp", version=__version__)
            async with Client(transport, client_info=info, elicitation_callback=ask) as client:
                try:
                    yield client
                except Exception as error:  # noqa: BLE001 - raised again below, outside the SDK's task groups
                    failure = _first_exception(error)
        except Exception as error:  # noqa: BLE001 - likewise
            failure = failure or _first_exception(error)
    if isinstance(failure, MCPError):
        raise ServerError(f"The MCP server failed: {failure}.", hint="The server's own messages, if any, are above.")
    if failure is not None:
        raise failure


async def list_tools(client: Client) -> dict[str, Tool]:
    """Return the server's tools by name, in the server's order."""
    tools: dict[str, Tool] = {}
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        tools.update((tool.name, tool) for tool in page.tools)
        cursor = page.next_cursor
        if cursor is None:
            return tools


async def refusal_of(client: Client, name: str) -> CallToolResult | None:
    """The refusal of a tool that the server has but does not serve; ``None`` if it has no such tool."""
    try:
        result = await client.call_tool(name, {})
    except MCPError:
        return None
    return result if result.is_error else None


def require_tools(tools: Mapping[str, Tool], *names: str) -> None:
    """Check that the server has these tools.

    Raises:
        ServerError: A tool is missing: its plugin is not installed, or is blocked.
    """
    missing = [name for name in names if name not in tools]
    if missing:
        raise ServerError(
            f"The server has no {' and no '.join(missing)}.",
            hint="Run `maas-mcp plugins` to see which plugins are installed or blocked. `pip install maas-mcp` "
            "installs all of this project's plugins.",
        )


async def call_tool(
    client: Client, name: str, arguments: dict[str, Any], on_progress: ProgressFnT | None = None
) -> CallToolResult:
    """Call a tool.

    Raises:
        ServerError: The result does not match the tool's output schema.
    """
    try:
        return await client.call_tool(name, arguments, progress_callback=on_progress)
    except (RuntimeError, ValidationError):
        problem = f"The result of {name} does not match its output schema. Report this bug to the author of its plugin."
    raise ServerError(problem)


async def call_with_bar(client: Client, name: str, arguments: dict[str, Any], bar: Bar) -> CallToolResult:
    """Call a tool and show its progress and its end in a bar.

    Raises:
        ServerError: The result does not match the tool's output schema.
    """
    try:
        result = await call_tool(client, name, arguments, bar.on_progress)
    except BaseException:
        bar.stop("stopped")
        raise
    end_bar(bar, result)
    return result


def end_bar(bar: Bar, result: CallToolResult, *, failed: str = "failed") -> None:
    """End the bar by the state of the operation: a call can return while its operation is still running.

    Args:
        bar: The bar of the call.
        result: The result of the call.
        failed: The bar's final message if the call failed.
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


def result_text(result: CallToolResult) -> str:
    """Return the text of a result."""
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def result_exit_code(result: CallToolResult) -> int:
    """Return the exit code for a result."""
    if not result.is_error:
        return 0
    error = (result.meta or {}).get(ERROR_META)
    code = error.get("code") if isinstance(error, dict) else None
    return EXIT_USAGE if code in {InvalidArgumentsError.code, SettingsError.code} else EXIT_FAILURE


def _first_exception(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def _pipe_lines_to(show: Callable[[str], None]) -> Iterator[TextIO]:
    """Yield a file whose lines are passed to ``show``, which may be drawing bars on the same terminal."""
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
        thread.join(STDERR_TIMEOUT)
