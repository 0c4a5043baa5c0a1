"""Measures maas-mcp over HTTP under load, and the same for the SDK's own server in the same run.

    python benchmarks/load.py [--sessions 200] [--principals 50] [--operations 500] [--seconds 30] [--pause 2]
        [--dropped 10000]

Each principal has a token, and follows its share of the deployments over streams of its own. Each session calls a
trivial tool every few seconds. The same sessions and calls, without deployments, go to the SDK's server. Prints the
median and the 95th percentile of a call, the slowest session's median, and how the server's memory grows while sessions
are opened and dropped: half of them by DELETE, the others by not using them for ten seconds. On a busy machine compare
the processor time of a call, which contains the server's other work: following the deployments.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from http_session import HttpSession  # type: ignore[import-not-found] # a script in the same folder
from mcp_servers import (  # type: ignore[import-not-found] # a script in the same folder
    HttpServer,
    our_http_server,
    reference_http_server,
)

from maas_mcp.access.tokens import TokenFile
from maas_mcp.calls.principal import Scope
from maas_simulator import SimulatedRegion, generated_region, serving

IDLE = 10
"""Seconds after which the server drops an unused session."""
SETTLING = 20.0
"""Seconds after the start of all deployments, in which each machine is read for the first time."""
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

    async def run(self, server: HttpServer, tokens: Sequence[str]) -> None:
        """Open the sessions and let each call the trivial tool at its pace."""
        self.waits = [[] for _ in range(self.sessions)]
        sessions = [HttpSession(server.port, tokens[number % len(tokens)]) for number in range(self.sessions)]
        for session in sessions:
            await session.open()
        before, end = server.processor_seconds(), time.monotonic() + self.seconds
        async with anyio.create_task_group() as tasks:
            for number, session in enumerate(sessions):
                tasks.start_soon(self._call, session, number, end)
        self.processor = server.processor_seconds() - before
        for session in sessions:
            await session.close()

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
        )
        return p95


async def follow(port: int, token: str, machines: Sequence[str], followed: list[str]) -> None:
    """Deploy machines and follow each over a connection of its own until the scope is cancelled."""

    async def deploy(system_id: str) -> None:
        session = HttpSession(port, token)
        await session.open()
        followed.append(system_id)
        await session.call("maas_deploy_machine", system_id, system_id=system_id)

    async with anyio.create_task_group() as tasks:
        for machine in machines:
            tasks.start_soon(deploy, machine)


async def under_load(server: HttpServer, region: SimulatedRegion, tokens: Sequence[str], load: Load) -> None:
    """Run the load while the machines are deployed and followed."""
    machines = list(region.machines)
    followed: list[str] = []
    async with anyio.create_task_group() as tasks:
        for number, token in enumerate(tokens):
            tasks.start_soon(follow, server.port, token, machines[number :: len(tokens)], followed)
        with anyio.fail_after(300):
            await _all_deploying(region)
        print(f"{len(machines)} deployments are followed by {len(tokens)} principals")
        await anyio.sleep(SETTLING)
        await load.run(server, tokens)
        print(f"maas-mcp uses {server.resident() / 1e6:.0f} MB")
        tasks.cancel_scope.cancel()


async def _all_deploying(region: SimulatedRegion) -> None:
    while any(each.status_name != "Deploying" for each in region.machines.values()):  # noqa: ASYNC110 - it is a thread
        await anyio.sleep(0.5)


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


def create_tokens(folder: Path, region: SimulatedRegion, count: int) -> tuple[list[str], dict[str, str]]:
    """Create the principals. Returns their tokens, and the settings with their files."""
    names = [f"user{number}" for number in range(count)]
    tokens, keys = folder / "tokens.toml", folder / "keys.toml"
    keys.touch(mode=0o600)
    keys.write_text("".join(f'{name} = "{region.api_key}"\n' for name in names), encoding="utf-8")
    file = TokenFile(tokens)
    made = [file.add(name, [Scope.DESTROY]) for name in names]
    return made, {"MAAS_MCP_HTTP_TOKENS": str(tokens), "MAAS_MCP_HTTP_KEYS": str(keys)}


def main() -> None:
    """Run both servers."""
    parser = argparse.ArgumentParser()
    for name, default in (
        ("sessions", 200),
        ("principals", 50),
        ("operations", 500),
        ("seconds", 30),
        ("pause", 2),
        ("dropped", 10000),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    region = generated_region(options.operations, speed=1.0)
    ours, reference = (Load(options.sessions, options.seconds, options.pause) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder, serving(region) as url:
        tokens, files = create_tokens(Path(folder), region, options.principals)
        with our_http_server(MAAS_URL=url, **files, **LIMITS) as server:
            anyio.run(under_load, server, region, tokens, ours)
        with reference_http_server() as server:
            anyio.run(reference.run, server, [""])
        print(f"{'':<12}{'calls':>8}{'p50 ms':>10}{'p95 ms':>10}{'worst p50 ms':>16}{'fewest calls':>14}{'CPU ms':>12}")
        ratio = ours.report("maas-mcp") / reference.report("SDK")
        print(f"the 95th percentile is {ratio:.1f} times the SDK's")
        if options.dropped:
            with our_http_server(MAAS_URL=url, MAAS_MCP_HTTP_SESSION_IDLE=str(IDLE), **files, **LIMITS) as server:
                anyio.run(drop_sessions, server, tokens, options.dropped)


if __name__ == "__main__":
    main()
