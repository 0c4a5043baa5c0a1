"""Concurrent calls through one client, and servers behind a proxy."""

import os
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maas_simulator import SimulatedRegion
from tests.integration.driver import TIMEOUT, Driver, Message, serving_stdio
from tests.integration.faults.proxy import Proxy

ERROR = "io.github.maas-mcp/error"


@contextmanager
def serving_through(
    proxy: Proxy, region: SimulatedRegion, state: str, *, host: str = "127.0.0.1", module: str = "", **environment: str
) -> Iterator[Driver]:
    """Run ``maas-mcp serve`` or another module, with its region behind the proxy."""
    url = proxy.url.replace("127.0.0.1", host)
    with serving_stdio(
        url, region.api_key, handshake=True, module=module, program=None, MAAS_MCP_STATE_DIR=state, **environment
    ) as server:
        yield server


def wait_for_results(server: Driver, calls: Sequence[int], timeout: float = TIMEOUT) -> list[Message]:
    """Wait for the results of concurrent calls."""
    deadline = time.monotonic() + timeout
    return [server.wait(call, max(deadline - time.monotonic(), 0.0))["result"] for call in calls]


def call_tool(server: Driver, tool: str, timeout: float = TIMEOUT, **arguments: Any) -> Message:
    """Call a tool and return its result. Other messages stay in ``server.received``."""
    return wait_for_results(server, [server.start_call(tool, **arguments)], timeout)[0]


def report(result: Message) -> dict[str, Any]:
    """The structured content of a successful call."""
    assert not result.get("isError"), result
    structured: dict[str, Any] = result["structuredContent"]
    return structured


def error(result: Message) -> dict[str, Any]:
    """The structured error of a failed call."""
    assert result.get("isError"), result
    reported: dict[str, Any] = result["_meta"][ERROR]
    return reported


def list_operations(server: Driver) -> list[dict[str, Any]]:
    """All rows of ``maas_list_operations``, page by page."""
    page = report(call_tool(server, "maas_list_operations"))
    rows: list[dict[str, Any]] = page["operations"]
    while page["next_cursor"]:
        page = report(call_tool(server, "maas_list_operations", cursor=page["next_cursor"]))
        rows += page["operations"]
    return rows


def messages(server: Driver, token: str | int) -> list[str]:
    """The progress messages of a call."""
    return [each["message"] for each in server.progress(token)]


def is_monotone(server: Driver, token: str | int) -> bool:
    """Whether the progress of a call always increased, and was below 1.0 until the end."""
    values = [each["progress"] for each in server.progress(token)]
    return values == sorted(set(values)) and all(value < 1.0 for value in values[:-1])


def is_responsive(server: Driver, tool: str = "maas_list_operations") -> bool:
    """Whether the server responds promptly to a call, with any result."""
    try:
        server.wait(server.start_call(tool), server.prompt)
    except AssertionError:
        return False
    return True


def install_code(folder: Path, code: str) -> dict[str, str]:
    """Install a plugin that runs ``code`` when it is loaded. Returns the environment for the server."""
    (folder / "fault_plugin.py").write_text(f"{textwrap.dedent(code)}\n{HOOK}")
    info = folder / "maas_mcp_fault-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: maas-mcp-fault\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[maas_mcp.plugins.v1]\nfault = fault_plugin\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


HOOK = """
from maas_mcp.api import hookimpl

@hookimpl
def maas_mcp_tools():
    return []
"""
