"""Measures maas-mcp over HTTP under load, and the same for the SDK's own server in the same run.

    python benchmarks/load.py [--sessions 200] [--principals 50] [--operations 500] [--seconds 30] [--pause 4]
        [--speed 1] [--dropped 10000]

Each principal has a token, and follows its share of the deployments over streams of its own. Each session calls a
trivial tool every few seconds. The SDK's server gets the same sessions and calls, and as many open calls, which send as
many progress messages a second as those of maas-mcp. It has no tokens, and follows nothing.

Prints the median and the 95th percentile of a call, the slowest session's median, the progress messages a second, and
how the server's memory grows while sessions are opened and dropped: half of them by DELETE, the others by not using
them for ten seconds. On a busy machine compare the processor time of a call, which contains the server's other work:
following the deployments, and sending their progress.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from http_session import HttpSession  # type: ignore[import-not-found] # a script in the same folder
from mcp_servers import (  # type: ignore[import-not-found] # a script in the same folder
    HttpServer,
    our_http_server,
    reference_http_server,
    simulated_region,
)

from maas_mcp.access.tokens import TokenFile
from maas_mcp.calls.principal import Scope
from maas_simulator import generated_region

IDLE = 10
"""Seconds after which the server drops an unused session."""
STARTS = 25.0
"""Deployments that are started in a second."""
SETTLING = 20.0
"""Seconds after the last start, in which each machine is read for the first time."""
AT_ONCE = 20
"""Sessions that are opened at the same time."""
LIMITS = {
    "MAAS_MCP_HTTP_RATE": "10000",
    "MAAS_MCP_HTTP_SESSIONS": "100000",
    "MAAS_MCP_HTTP_PRINCIPAL_SESSIONS": "100000",
}


@dataclass
class Load:
    """The size of the load, and the latencies of each session in seconds."""

    sessions: int
    seconds: float
    pause: float
    """Seconds between the starts of a session's calls."""
    waits: list[list[float]] = field(default_factory=list)
    processor: float = 0.0
    """Processor seconds of the server during the calls."""
    progress: float = 0.0
    """Progress messages a second during the calls."""
    memory: int = 0
    """The server's memory at the end, in bytes."""

    async def run(self, server: HttpServer, tokens: Sequence[str], followers: Sequence[HttpSession]) -> None:
        """Open the sessions and let each call the trivial tool at its pace."""
        self.waits = [[] for _ in range(self.sessions)]
        sessions = [HttpSession(server.port, tokens[number % len(tokens)]) for number in range(self.sessions)]
        async with anyio.create_task_group() as tasks:
            for number, session in enumerate(sessions):  # at the pace of the calls, so that no connection idles long
                tasks.start_soon(self._open, session, number)
        before, progress = server.processor_seconds(), _progress(followers)
        began = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for number, session in enumerate(sessions):
                tasks.start_soon(self._call, session, number, began + self.seconds)
        self.processor = server.processor_seconds() - before
        self.progress = (_progress(followers) - progress) / (time.monotonic() - began)
        self.memory = server.resident()
        for session in sessions:
            await session.close()

    async def _open(self, session: HttpSession, number: int) -> None:
        await anyio.sleep(self.pause * number / self.sessions)
        await session.open()

    async def _call(self, session: HttpSession, number: int, end: float) -> None:
        await anyio.sleep(self.pause * number / self.sessions)
        while time.monotonic() < end:
            began = time.monotonic()
            await session.call("bench_nothing", text="hello")
            self.waits[number].append(time.monotonic() - began)
            await anyio.sleep(max(0.0, self.pause - (time.monotonic() - began)))

    def report(self, name: str) -> float:
        """Print a row. Returns the 95th percentile in seconds."""
        every = sorted(wait for waits in self.waits for wait in waits)
        p95 = every[int(len(every) * 0.95)]
        medians = [statistics.median(waits) for waits in self.waits]
        print(
            f"{name:<12}{len(every):>8}{statistics.median(every) * 1000:>10.1f}{p95 * 1000:>10.1f}"
            f"{max(medians) * 1000:>16.1f}{min(map(len, self.waits)):>14}{self.processor / len(every) * 1000:>12.1f}"
            f"{self.progress:>12.1f}{self.memory / 1e6:>10.0f}"
        )
        return p95


def _progress(followers: Sequence[HttpSession]) -> int:
    return sum(each.progress for each in followers)


async def under_load(server: HttpServer, calls: Sequence[dict[str, Any]], tokens: Sequence[str], load: Load) -> None:
    """Run the load while calls are open that report progress: each is a tool with its arguments."""
    followers: list[HttpSession] = []

    async def follow(number: int, call: dict[str, Any]) -> None:
        session = HttpSession(server.port, tokens[number % len(tokens)])
        await session.open()
        followers.append(session)
        await session.call(token=str(number), **call)
        raise RuntimeError(f"{call} has ended too early")

    async with anyio.create_task_group() as tasks:
        for number, call in enumerate(calls):
            tasks.start_soon(follow, number, call)
            await anyio.sleep(1 / STARTS)
        await anyio.sleep(SETTLING)
        if not all(each.progress for each in followers):
            raise RuntimeError("some calls report no progress")
        await load.run(server, tokens, followers)
        tasks.cancel_scope.cancel()


async def drop_sessions(server: HttpServer, tokens: Sequence[str], count: int) -> None:
    """Open and drop sessions, and print the memory after each tenth."""
    for part in range(11):
        first = part == 0  # the first round only fills caches
        for start in range(0, count // 10, AT_ONCE):
            async with anyio.create_task_group() as tasks:
                for number in range(start, min(start + AT_ONCE, count // 10)):
                    tasks.start_soon(_open_and_drop, server.port, tokens[number % len(tokens)], number % 2 == 0)
        await anyio.sleep(IDLE * 1.5)
        print(f"{'warm' if first else part * count // 10:>8} sessions dropped: {server.resident() / 1e6:.1f} MB")


async def _open_and_drop(port: int, token: str, end_session: bool) -> None:
    session = HttpSession(port, token)
    await session.open()
    await session.close(end_session=end_session)


def create_tokens(folder: Path, api_key: str, count: int) -> tuple[list[str], dict[str, str]]:
    """Create the principals. Returns their tokens, and the settings with their files."""
    names = [f"user{number}" for number in range(count)]
    tokens, keys = folder / "tokens.toml", folder / "keys.toml"
    keys.touch(mode=0o600)
    keys.write_text("".join(f'{name} = "{api_key}"\n' for name in names), encoding="utf-8")
    file = TokenFile(tokens)
    made = [file.add(name, [Scope.DESTROY]) for name in names]
    return made, {"MAAS_MCP_HTTP_TOKENS": str(tokens), "MAAS_MCP_HTTP_KEYS": str(keys)}


def deployments(count: int) -> list[dict[str, Any]]:
    """Deploy each machine of a simulated region of this size."""
    return [{"tool": "maas_deploy_machine", "system_id": system_id} for system_id in generated_region(count).machines]


def main() -> None:
    """Run both servers."""
    parser = argparse.ArgumentParser()
    for name, default in (
        ("sessions", 200),
        ("principals", 50),
        ("operations", 500),
        ("seconds", 30),
        ("pause", 4),
        ("dropped", 10000),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--speed", type=float, default=1.0)
    options = parser.parse_args()
    gc.disable()  # or the client's collections would delay its measurements
    ours, reference = (Load(options.sessions, options.seconds, options.pause) for _ in range(2))
    with (
        tempfile.TemporaryDirectory() as folder,
        simulated_region(options.operations, options.speed) as (url, api_key),
    ):
        tokens, files = create_tokens(Path(folder), api_key, options.principals)
        with our_http_server(MAAS_URL=url, **files, **LIMITS) as server:
            anyio.run(under_load, server, deployments(options.operations), tokens, ours)
        every = options.operations / ours.progress
        with reference_http_server() as server:
            calls = [{"tool": "bench_follow", "every": every}] * options.operations
            anyio.run(under_load, server, calls, [""], reference)
        print(
            f"{'':<12}{'calls':>8}{'p50 ms':>10}{'p95 ms':>10}{'worst p50 ms':>16}{'fewest calls':>14}{'CPU ms':>12}"
            f"{'progress /s':>12}{'MB':>10}"
        )
        ratio = ours.report("maas-mcp") / reference.report("SDK")
        print(f"the 95th percentile is {ratio:.1f} times the SDK's")
        if options.dropped:
            with our_http_server(MAAS_URL=url, MAAS_MCP_HTTP_SESSION_IDLE=str(IDLE), **files, **LIMITS) as server:
                anyio.run(drop_sessions, server, tokens, options.dropped)


if __name__ == "__main__":
    main()
