"""The demonstration: four deployments through the real MCP server, with a check of each result."""

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
from maas_mcp.cli.client import call_tool, list_tools, mcp_client, require_tools, result_text
from maas_mcp.cli.common import EXIT_FAILURE
from maas_mcp.cli.deployment import Deployment, SummaryRow
from maas_mcp.cli.screen import Screen
from maas_mcp.errors import ServerError
from maas_mcp.machine_text import make_visible
from maas_simulator import SimulatedRegion, demo_region, serving

FAILURE_REASON: Final = "No space left on /dev/sda2"
"""The error that the simulated MAAS reports for the failing deployment."""
MAX_CANCEL_SECONDS: Final = 1.0
"""Seconds within which a cancelled call must return."""
MAX_REASON_LINES: Final = 9
"""Lines of the failure that are shown."""


async def run_demonstration(*, speed: float, svg: Path | None = None) -> int:
    """Run the demonstration. Returns the exit code."""
    screen = Screen(record=svg is not None)
    started = anyio.current_time()
    region = demo_region(speed=speed)
    region.plan("node05", fail="Installing OS", reason=FAILURE_REASON)
    screen.show(
        Text("maas-mcp: MAAS for AI assistants", style="bold"),
        f"The MAAS region is simulated, at {speed:g} times real speed. The MCP server is real.",
    )
    with serving(region) as url:
        async with mcp_client(_environment(url, region), screen.line) as client:
            rows = await Demonstration(client, screen).run()
    code = _conclude(screen, rows, anyio.current_time() - started)
    if svg is not None:
        screen.save(svg, "maas-mcp demo")
    return code


def _environment(url: str, region: SimulatedRegion) -> dict[str, str]:
    """The server's environment, without the user's own settings, so that it cannot reach a real region."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("MAAS_")}
    settings = {
        "MAAS_URL": url,
        "MAAS_API_KEY": region.api_key,
        "MAAS_MCP_CONFIG": "",
        "MAAS_MCP_AUDIT": "off",  # no real machine is changed
        "MAAS_MCP_POLL_INTERVAL": "0.1",
        "MAAS_MCP_PLUGINS_ALLOW": "deploy,inventory",
    }
    return own | settings


class Demonstration:
    """The parts of the demonstration, in order."""

    def __init__(self, client: Client, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self._ids: dict[str, str] = {}

    async def run(self) -> list[SummaryRow]:
        """Run all parts. Returns the rows of the summary."""
        require_tools(await list_tools(self._client), "maas_list_machines", "maas_get_machine", "maas_deploy_machine")
        await self._list()
        return [*await self._two_at_once(), await self._cancelled(), await self._failing()]

    async def _list(self) -> None:
        machines = (await self._read("maas_list_machines", {}))["machines"]
        self._ids = {machine["hostname"]: machine["system_id"] for machine in machines}
        self._screen.show("", _table(machines, self._screen.console.width))

    async def _two_at_once(self) -> list[SummaryRow]:
        self._heading("Two deployments at once", "progress comes from MAAS's own events")
        series = {"node01": "noble", "node02": "jammy"}
        with self._screen.bars() as bars:
            calls = {host: self._deployment(bars, host, distro_series=name) for host, name in series.items()}
            async with anyio.create_task_group() as tasks:
                for call in calls.values():
                    tasks.start_soon(call.run)
        return [_deployed(call, host, series[host]) for host, call in calls.items()]

    async def _cancelled(self) -> SummaryRow:
        self._heading("A deployment cancelled halfway", "the call ends at once, MAAS continues")
        with self._screen.bars() as bars:
            call = self._deployment(bars, "node03")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call.run)
                await call.halfway.wait()
                cancelled = anyio.current_time()
                tasks.cancel_scope.cancel()
            took = anyio.current_time() - cancelled
            if call.result is None:
                call.bar.stop("Cancelled")
        machine = await self._read("maas_get_machine", {"system_id": self._ids["node03"]})
        status, status_message = machine["status_name"], machine["status_message"]
        text = f"The call ended within {took * 1000:.0f} ms. In MAAS, node03 is still {status} ({status_message})."
        self._screen.show(Text(text, style="yellow"))
        problem = None
        if call.result is not None or took > MAX_CANCEL_SECONDS or status != "Deploying":
            problem = f"node03: expected Deploying after the call was cancelled, but it is {status} after {took:.1f} s"
        return call.summarize(
            "Deploy node03, then cancel", f"cancelled at {call.bar.fraction:.0%}; {status}", "yellow", problem
        )

    async def _failing(self) -> SummaryRow:
        self._heading("A deployment that fails", "the result has MAAS's error and log")
        with self._screen.bars() as bars:
            call = self._deployment(bars, "node05")
            await call.run()
        assert call.result is not None  # noqa: S101 - run() raises otherwise
        text = result_text(call.result)
        self._screen.show(Panel(_shortened(text), border_style="red", title="Result of the tool", title_align="left"))
        problem = (
            None
            if call.result.is_error and FAILURE_REASON in text
            else f"node05: expected failure with {FAILURE_REASON!r}, but got: {text}"
        )
        return call.summarize("Deploy node05", "failed, with MAAS's error", "red", problem)

    def _deployment(self, bars: Bars, host: str, **arguments: str) -> Deployment:
        return Deployment(self._client, bars.add(host), {"system_id": self._ids[host], **arguments})

    def _heading(self, title: str, subtitle: str) -> None:
        self._screen.show("", Text.assemble((title, "bold"), (f": {subtitle}", "dim")))

    async def _read(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = await call_tool(self._client, tool, arguments)
        if result.is_error or result.structured_content is None:
            raise ServerError(f"{tool} failed: {result_text(result)}")
        content: dict[str, Any] = result.structured_content
        return content


def _deployed(call: Deployment, host: str, series: str) -> SummaryRow:
    assert call.result is not None  # noqa: S101 - run() raises otherwise
    content = (call.result.structured_content or {}).get("result") or {}
    status, addresses = content.get("status_name"), content.get("ip_addresses", [])
    problem = None if status == "Deployed" else f"{host}: expected Deployed, but got: {result_text(call.result)}"
    return call.summarize(f"Deploy {host} with {series}", f"deployed at {', '.join(addresses)}", "green", problem)


def _table(machines: Iterable[dict[str, Any]], width: int) -> Table:
    """A table of machines. A list leaves out the fields that have no value."""
    columns = ("Machine", "System id", "Status", "Owner", "CPUs", "Memory", "Zone", "Pool")
    shown = None if width >= WIDE else -2  # narrow terminals omit zone and pool
    table = Table(*columns[:shown], box=None, pad_edge=False, header_style="bold dim")
    for column in (4, 5):
        table.columns[column].justify = "right"
    for machine in machines:
        cells = (
            machine["hostname"],
            machine["system_id"],
            machine["status_name"] + (" (locked)" if machine.get("locked") else ""),
            machine.get("owner", ""),
            str(machine.get("cpu_count") or ""),
            f"{machine['memory'] // 1024} GiB" if machine.get("memory") else "",
            machine.get("zone", ""),
            machine.get("pool", ""),
        )
        table.add_row(*(Text(make_visible(cell)) for cell in cells[:shown]))
    return table


def _shortened(text: str) -> Text:
    """Keep the first line, which has the error, and the last lines: the end of the log and what to do."""
    first, *rest = text.splitlines() or [""]
    if len(rest) > MAX_REASON_LINES:
        rest = ["…", *rest[-MAX_REASON_LINES + 1 :]]
    return Text.assemble((first, "bold red"), ("\n" + "\n".join(rest), "dim"))


def _conclude(screen: Screen, rows: list[SummaryRow], seconds: float) -> int:
    table = Table("Operation", "Result", "Time", "Messages", box=None, pad_edge=False, header_style="bold dim")
    for column in (2, 3):
        table.columns[column].justify = "right"
    for row in rows:
        time = f"{row.seconds:.1f} s"
        result = Text("unexpected, see below", "bold red") if row.problem else Text(row.result, row.style)
        table.add_row(row.operation, result, time, str(row.messages))
    screen.show("", table, "")
    problems = [Text(row.problem) for row in rows if row.problem]
    if problems:
        screen.show(Text("Some results were unexpected:", style="bold red"), *problems)
        return EXIT_FAILURE
    screen.show(Text(f"All results were as expected. The demonstration took {seconds:.0f} s.", style="bold green"))
    return 0
