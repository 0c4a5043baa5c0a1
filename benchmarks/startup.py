"""Measures the time from start to the response of ``tools/list``: maas-mcp and two other servers, alternately.

    python benchmarks/startup.py [ROUNDS]

The bare server is the SDK with one tool. The floor is the bare server with the libraries of a plugin host and pydantic
models of the same tools (``floor_server.py``). Prints medians, ratios and the size of the response. Users wait for
wall-clock time; CPU time varies less on a busy machine.
"""

import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

OURS = [str(Path(sysconfig.get_path("scripts")) / "maas-mcp"), "serve"]
FLOOR = [sys.executable, str(Path(__file__).with_name("floor_server.py"))]
BARE = [sys.executable, str(Path(__file__).with_name("bare_server.py"))]
ENVIRONMENT = {
    # Without bytecode files, each start would compile our editable install, but not the installed packages of the SDK.
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "MAAS_URL": "http://127.0.0.1:9/MAAS",
    "MAAS_API_KEY": "consumer:token:secret",
    "MAAS_MCP_CONFIG": "",
}
MESSAGES: list[dict[str, object]] = [
    {
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "benchmark", "version": "1"},
        },
    },
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/list"},
]
INPUT = b"".join(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n" for message in MESSAGES)


@dataclass
class Start:
    """One start: wall-clock seconds and CPU seconds to the response, and the response."""

    wall: float
    cpu: float
    response: bytes


def start(command: list[str]) -> Start:
    """Start a server, list its tools, and stop it."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(INPUT)
        process.stdin.flush()
        process.stdout.readline()
        answer = process.stdout.readline()
        wall = time.perf_counter() - began
        cpu = time.clock_gettime(~process.pid << 3 | 2)  # the result of Linux's clock_getcpuclockid(3) for a process
        process.stdin.close()
    return Start(wall, cpu, answer)


def main(rounds: int) -> None:
    """Measure the servers alternately, so that the load of the machine affects all of them."""
    response = start(OURS).response
    with tempfile.TemporaryDirectory() as folder:
        tools = Path(folder) / "tools.json"
        tools.write_text(json.dumps(json.loads(response)["result"]), encoding="utf-8")
        servers = {"maas-mcp": OURS, "floor": [*FLOOR, str(tools)], "bare mcp": BARE}
        for command in servers.values():
            start(command)  # fill the page cache
        starts = [{name: start(command) for name, command in servers.items()} for _ in range(rounds)]
    print(f"{'':12}" + "".join(f"{name:>10}" for name in servers) + f"{'maas-mcp/bare':>16}{'floor/bare':>12}")
    for label, figure in (("wall (s)", "wall"), ("cpu (s)", "cpu")):
        ours, floor, bare = (statistics.median(getattr(each[name], figure) for each in starts) for name in servers)
        print(f"{label:12}{ours:10.3f}{floor:10.3f}{bare:10.3f}{ours / bare:16.3f}{floor / bare:12.3f}")
    print(f"tools/list  {len(response)} bytes")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
