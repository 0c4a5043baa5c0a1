"""Measures a trivial call and a progress message over stdio and HTTP, and the same for the SDK's own servers.

    python benchmarks/call_cost.py [CALLS]

The servers take turns, so that other work on the machine meets all of them. ``round trip`` is the median of calls one
after another; ``rate`` the calls a second of many sent at once; ``progress`` the time of one progress message in a call
that reports as fast as it can. ``CPU`` is the server's processor time for each.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from http_session import HttpSession  # type: ignore[import-not-found] # a script in the same folder
from mcp_servers import (  # type: ignore[import-not-found] # a script in the same folder
    OURS,
    REFERENCE,
    HttpServer,
    our_http_server,
    plugin_environment,
    reference_http_server,
)

ROUNDS = 5
PROGRESS = 300
"""Progress messages of a call."""
Message = dict[str, Any]


@dataclass
class Costs:
    """Measurements of one server, a value for each round, in seconds."""

    round_trip: list[float]
    call_cpu: list[float]
    rate: list[float]
    progress: list[float]
    progress_cpu: list[float]

    def row(self, name: str) -> str:
        """The medians as a row."""
        values = (self.round_trip, self.call_cpu, self.progress, self.progress_cpu)
        cells = "".join(f"{statistics.median(each) * 1000:>14.3f}" for each in values)
        return f"{name:<16}{cells}{statistics.median(self.rate):>10.0f}"


class StdioClient:
    """A client of one server over pipes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
        self._send({"id": 0, "method": "initialize", "params": hello})
        self._read_until_response()
        self._send({"method": "notifications/initialized"})

    def call(self, tool: str, **arguments: Any) -> int:
        """Call a tool. Returns the number of progress messages."""
        self._send(_call(1, tool, arguments))
        return self._read_until_response()

    def burst(self, count: int) -> None:
        """Send many calls at once, and wait for all responses."""
        self._send(*(_call(number, "bench_nothing", {"text": "hello"}) for number in range(count)))
        for _ in range(count):
            self._read_until_response()

    def processor_seconds(self) -> float:
        """The server's processor time."""
        return float(HttpServer(self._process, 0).processor_seconds())

    def _send(self, *messages: Message) -> None:
        assert self._process.stdin
        self._process.stdin.write(
            b"".join(json.dumps({"jsonrpc": "2.0", **each}).encode() + b"\n" for each in messages)
        )
        self._process.stdin.flush()

    def _read_until_response(self) -> int:
        assert self._process.stdout
        for others, line in enumerate(self._process.stdout):
            message = json.loads(line)
            if "id" in message:
                if "result" not in message or message["result"].get("isError"):
                    raise RuntimeError(line.decode())
                return others
        raise RuntimeError("the server ended")


def _call(number: int, tool: str, arguments: Message) -> Message:
    params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": number}}
    return {"id": number, "method": "tools/call", "params": params}


class HttpClient:
    """A client of one server over HTTP, in an event loop of its own."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self.processor_seconds: Callable[[], float] = server.processor_seconds

    def call(self, tool: str, **arguments: Any) -> int:
        """Call a tool. Returns the number of progress messages."""
        return int(anyio.run(self._call, tool, arguments))

    def calls(self, count: int) -> list[float]:
        """Call the trivial tool. Returns the seconds of each."""
        return list(anyio.run(self._calls, count))

    def burst(self, count: int) -> None:
        """Call the trivial tool over twenty connections at once."""
        anyio.run(self._burst, count)

    async def _call(self, tool: str, arguments: Message) -> int:
        session = HttpSession(self._server.port)
        await session.open()
        messages = await session.call(tool, "token", **arguments)
        await session.close()
        return len(messages) - 1

    async def _calls(self, count: int) -> list[float]:
        session, waits = HttpSession(self._server.port), []
        await session.open()
        for _ in range(count):
            began = time.monotonic()
            await session.call("bench_nothing", text="hello")
            waits.append(time.monotonic() - began)
        await session.close()
        return waits

    async def _burst(self, count: int) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(self._calls, count // 20)


@contextmanager
def stdio(command: list[str], environment: dict[str, str]) -> Iterator[StdioClient]:
    """Start a server on pipes."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            yield StdioClient(process)
        finally:
            process.kill()


def measure(client: Any, costs: Costs, calls: int) -> None:
    """Add one round."""
    before = client.processor_seconds()
    if isinstance(client, HttpClient):
        waits = client.calls(calls)
    else:
        waits = []
        for _ in range(calls):
            began = time.monotonic()
            client.call("bench_nothing", text="hello")
            waits.append(time.monotonic() - began)
    costs.call_cpu.append((client.processor_seconds() - before) / calls)
    costs.round_trip.append(statistics.median(waits))
    began = time.monotonic()
    client.burst(calls)
    costs.rate.append(calls / (time.monotonic() - began))
    before, began = client.processor_seconds(), time.monotonic()
    sent = client.call("bench_progress", count=PROGRESS)
    costs.progress.append((time.monotonic() - began) / sent)
    costs.progress_cpu.append((client.processor_seconds() - before) / sent)


def main() -> None:
    """Measure the four servers in turns."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with ExitStack() as stack:
        ours = stack.enter_context(plugin_environment({}))
        open_http = stack.enter_context
        clients: dict[str, Any] = {
            "stdio SDK": stack.enter_context(stdio(REFERENCE, dict(os.environ))),
            "stdio maas-mcp": stack.enter_context(stdio(OURS, ours)),
            "HTTP SDK": HttpClient(open_http(reference_http_server())),
            "HTTP maas-mcp": HttpClient(open_http(our_http_server(MAAS_MCP_HTTP_RATE="10000"))),
        }
        costs = {name: Costs([], [], [], [], []) for name in clients}
        for _ in range(ROUNDS):
            for name, client in clients.items():
                measure(client, costs[name], calls)
    print(f"{'ms':<16}{'round trip':>14}{'CPU':>14}{'progress':>14}{'CPU':>14}{'rate /s':>10}")
    for name, each in costs.items():
        print(each.row(name))


if __name__ == "__main__":
    main()
