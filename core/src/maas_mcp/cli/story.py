"""What the demonstration shows: four deployments through the real MCP server, and whether they went as expected."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import anyio
from mcp.client import Client
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from maas_mcp.cli.bars import WIDE, Bars
from maas_mcp.cli.client import call_tool, mcp_client, require, text_of, tools_of
from maas_mcp.cli.common import EXIT_FAILURE
from maas_mcp.cli.deployment import Deployment, Outcome
from maas_mcp.cli.screen import Screen
from maas_mcp.errors import ServerError
from maas_simulator import SimulatedRegion, demo_region, serving

REASON: Final = "No space left on /dev/sda2"
"""What MAAS is made to say of the deployment that fails."""
AT_ONCE: Final = 1.0
"""Seconds within which a cancelled call has to be over."""
REASON_LINES: Final = 9
"""How much of the failure is shown."""


async def tell(*, speed: float, svg: Path | None = None) -> int:
    """Show everything; returns the exit code."""
    screen = Screen(record=svg is not None)
    started = anyio.current_time()
    region = demo_region(speed=speed)
    region.plan("node05", fail="Installing OS", reason=REASON)
    screen.show(
        Text("maas-mcp: MAAS for an assistant", style="bold"),
        f"The region is simulated, at {speed:g} times real speed. The MCP server is real.",
    )
    with serving(region) as url:
        async with mcp_client(_environment(url, region), screen.line) as client:
            outcomes = await Story(client, screen).tell()
    code = _conclude(screen, outcomes, anyio.current_time() - started)
    if svg is not None:
        screen.save(svg, "maas-mcp demo")
    return code


def _environment(url: str, region: SimulatedRegion) -> dict[str, str]:
    """The server's: nothing of the user's own settings, so that no real region can be meant."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("MAAS_")}
    settings = {
        "MAAS_URL": url,
        "MAAS_API_KEY": region.api_key,
        "MAAS_MCP_CONFIG": "",
        "MAAS_MCP_POLL_INTERVAL": "0.1",
        "MAAS_MCP_PLUGINS_ALLOW": "deploy,inventory",
    }
    return own | settings


class Story:
    """The acts, in their order."""

    def __init__(self, client: Client, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self._ids: dict[str, str] = {}

    async def tell(self) -> list[Outcome]:
        """All acts."""
        require(await tools_of(self._client), "maas_list_machines", "maas_get_machine", "maas_deploy_machine")
        await self._list()
        return [*await self._two_at_once(), await self._cancelled(), await self._failing()]

    async def _list(self) -> None:
        machines = (await self._read("maas_list_machines", {}))["machines"]
        self._ids = {machine["hostname"]: machine["system_id"] for machine in machines}
        self._screen.show("", _table(machines, self._screen.console.width))

    async def _two_at_once(self) -> list[Outcome]:
        self._heading("Two deployments at once", "progress follows MAAS's own milestones")
        series = {"node01": "noble", "node02": "jammy"}
        with self._screen.bars() as bars:
            calls = {host: self._deployment(bars, host, distro_series=name) for host, name in series.items()}
            async with anyio.create_task_group() as tasks:
                for call in calls.values():
                    tasks.start_soon(call.run)
        return [_deployed(call, host, series[host]) for host, call in calls.items()]

    async def _cancelled(self) -> Outcome:
        self._heading("A deployment that is cancelled half-way", "the call stops at once; MAAS continues")
        with self._screen.bars() as bars:
            call = self._deployment(bars, "node03")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call.run)
                await call.halfway.wait()
                asked = anyio.current_time()
                tasks.cancel_scope.cancel()
            took = anyio.current_time() - asked
            if call.result is None:
                call.bar.stop("Cancelled")
        machine = await self._read("maas_get_machine", {"system_id": self._ids["node03"]})
        status, doing = machine["status_name"], machine["status_message"]
        said = f"The call ended within {took * 1000:.0f} ms. In MAAS, node03 is still {status} ({doing})."
        self._screen.show(Text(said, style="yellow"))
        problem = None
        if call.result is not None or took > AT_ONCE or status != "Deploying":
            problem = (
                f"node03 should still be Deploying after its call was cancelled; after {took:.1f} s it is {status}"
            )
        return call.outcome(
            "Deploy node03, cancel it", f"cancelled at {call.bar.fraction:.0%}; {status}", "yellow", problem
        )

    async def _failing(self) -> Outcome:
        self._heading("A deployment that fails", "the result has MAAS's reason and log")
        with self._screen.bars() as bars:
            call = self._deployment(bars, "node05")
            await call.run()
        assert call.result is not None  # noqa: S101 - run() raises otherwise
        text = text_of(call.result)
        self._screen.show(Panel(_shortened(text), border_style="red", title="the tool's result", title_align="left"))
        problem = None if call.result.is_error and REASON in text else f"node05 should fail with {REASON!r}: {text}"
        return call.outcome("Deploy node05", "failed, with MAAS's reason", "red", problem)

    def _deployment(self, bars: Bars, host: str, **arguments: str) -> Deployment:
        return Deployment(self._client, bars.add(host), {"system_id": self._ids[host], **arguments})

    def _heading(self, what: str, why: str) -> None:
        self._screen.show("", Text.assemble((what, "bold"), (f": {why}", "dim")))

    async def _read(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = await call_tool(self._client, tool, arguments)
        if result.is_error or result.structured_content is None:
            raise ServerError(f"{tool} failed: {text_of(result)}")
        content: dict[str, Any] = result.structured_content
        return content


def _deployed(call: Deployment, host: str, series: str) -> Outcome:
    assert call.result is not None  # noqa: S101 - run() raises otherwise
    content = (call.result.structured_content or {}).get("result") or {}
    status, addresses = content.get("status_name"), content.get("ip_addresses", [])
    problem = None if status == "Deployed" else f"{host} should be Deployed: {text_of(call.result)}"
    return call.outcome(f"Deploy {host} with {series}", f"deployed at {', '.join(addresses)}", "green", problem)


def _table(machines: Iterable[dict[str, Any]], width: int) -> Table:
    columns = ("Machine", "System id", "Status", "Owner", "CPUs", "Memory", "Zone", "Pool")
    shown = None if width >= WIDE else -2  # zone and pool are the least of it
    table = Table(*columns[:shown], box=None, pad_edge=False, header_style="bold dim")
    for column in (4, 5):
        table.columns[column].justify = "right"
    for machine in machines:
        cells = (
            machine["hostname"],
            machine["system_id"],
            machine["status_name"] + (" (locked)" if machine["locked"] else ""),
            machine["owner"] or "",
            str(machine["cpu_count"] or ""),
            f"{machine['memory'] // 1024} GiB" if machine["memory"] else "",
            machine["zone"],
            machine["pool"],
        )
        table.add_row(*cells[:shown])
    return table


def _shortened(text: str) -> Text:
    """The beginning, which has the reason, and the end, which has the end of the log and what to do."""
    first, *rest = text.splitlines() or [""]
    if len(rest) > REASON_LINES:
        rest = ["…", *rest[-REASON_LINES + 1 :]]
    return Text.assemble((first, "bold red"), ("\n" + "\n".join(rest), "dim"))


def _conclude(screen: Screen, outcomes: list[Outcome], seconds: float) -> int:
    table = Table("Operation", "Result", "Time", "Messages", box=None, pad_edge=False, header_style="bold dim")
    for column in (2, 3):
        table.columns[column].justify = "right"
    for outcome in outcomes:
        time = f"{outcome.seconds:.1f} s"
        result = Text("unexpected, see below", "bold red") if outcome.problem else Text(outcome.result, outcome.style)
        table.add_row(outcome.operation, result, time, str(outcome.messages))
    screen.show("", table, "")
    problems = [Text(outcome.problem) for outcome in outcomes if outcome.problem]
    if problems:
        screen.show(Text("Not everything went as expected:", style="bold red"), *problems)
        return EXIT_FAILURE
    screen.show(Text(f"Everything went as expected, in {seconds:.0f} s.", style="bold green"))
    return 0
