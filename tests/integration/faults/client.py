"""Many calls at once through one client, and a server that tests can hurry or make blind."""

import os
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maas_simulator import SimulatedRegion
from tests.integration.driver import PATIENCE, Driver, Message, serving_stdio
from tests.integration.faults.proxy import Proxy

ERROR = "io.github.maas-mcp/error"


@contextmanager
def serving_through(
    proxy: Proxy, region: SimulatedRegion, state: str, *, host: str = "127.0.0.1", module: str = "", **environment: str
) -> Iterator[Driver]:
    """A ``maas-mcp serve`` that reaches its region through the proxy, or another module instead."""
    url = proxy.url.replace("127.0.0.1", host)
    with serving_stdio(
        url, region.api_key, handshake=True, module=module, MAAS_MCP_STATE_DIR=state, **environment
    ) as server:
        yield server


def answers(server: Driver, calls: Sequence[int], patience: float = PATIENCE) -> list[Message]:
    """The results of calls that run side by side."""
    deadline = time.monotonic() + patience
    return [server.wait(call, max(deadline - time.monotonic(), 0.0))["result"] for call in calls]


def answer(server: Driver, tool: str, patience: float = PATIENCE, **arguments: Any) -> Message:
    """The result of one call; whatever else is heard stays in ``server.received``."""
    return answers(server, [server.start_call(tool, **arguments)], patience)[0]


def report(result: Message) -> dict[str, Any]:
    """What a call that did not fail tells of its operation."""
    assert not result.get("isError"), result
    structured: dict[str, Any] = result["structuredContent"]
    return structured


def error(result: Message) -> dict[str, Any]:
    """What a call that failed tells to programs."""
    assert result.get("isError"), result
    reported: dict[str, Any] = result["_meta"][ERROR]
    return reported


def messages(server: Driver, token: str | int) -> list[str]:
    """The messages of a call's progress."""
    return [each["message"] for each in server.progress(token)]


def is_monotone(server: Driver, token: str | int) -> bool:
    """Whether the progress of a call only ever increased, and came to 1.0 at its end at the earliest."""
    values = [each["progress"] for each in server.progress(token)]
    return values == sorted(set(values)) and all(value < 1.0 for value in values[:-1])


def quickly(server: Driver, tool: str = "maas_list_operations") -> bool:
    """Whether the server answers a call before it counts as hanging, with whatever."""
    try:
        server.wait(server.start_call(tool), server.at_once)
    except AssertionError:
        return False
    return True


def shaken(folder: Path, code: str) -> dict[str, str]:
    """The environment for a server that runs ``code`` when it finds its plugins: for what no proxy can do to it."""
    (folder / "shaking_plugin.py").write_text(f"{textwrap.dedent(code)}\n{HOOK}")
    info = folder / "maas_mcp_shaking-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: maas-mcp-shaking\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[maas_mcp.plugins.v1]\nshaking = shaking_plugin\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


HOOK = """
from maas_mcp.api import hookimpl

@hookimpl
def maas_mcp_tools():
    return []
"""
