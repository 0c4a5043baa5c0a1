"""``maas-mcp demo --real``: one deployment on a real region, asked about before."""

import os
from functools import partial
from typing import Any

import click
from mcp_types import CallToolResult

from maas_mcp.cli.bars import Bars, Terminal
from maas_mcp.cli.client import call_tool, call_with_bar, exit_code_of, mcp_client, require, text_of, tools_of
from maas_mcp.cli.common import EXIT_FAILURE, Interrupted, say
from maas_mcp.cli.interrupt import run
from maas_mcp.settings import Settings


def deploy(system_id: str, *, confirmed: bool) -> int:
    """Deploy a machine of the region that the settings name; returns the exit code.

    Args:
        system_id: The machine.
        confirmed: Whether not to ask.
    """
    region = Settings.load().require_region()
    found = run(partial(_call, "maas_get_machine", system_id, None))
    machine = found.structured_content
    if found.is_error or machine is None:
        say(f"Error: {text_of(found)}", err=True)
        return exit_code_of(found)
    say(_warning(machine, region.api_url))
    if not confirmed and not _confirmed(machine["hostname"]):
        return EXIT_FAILURE
    try:
        result = run(partial(_call, "maas_deploy_machine", system_id, machine["hostname"]))
    except Interrupted as interruption:
        message = f"Interrupted: {machine['hostname']} is no longer followed. The operation continues in MAAS."
        raise Interrupted(interruption.number, message) from None
    say(f"Error: {text_of(result)}" if result.is_error else text_of(result), err=result.is_error)
    return exit_code_of(result)


async def _call(tool: str, system_id: str, label: str | None) -> CallToolResult:
    """Call a tool for the machine through a server of its own, with a bar where there is a label."""
    with Bars(Terminal(stderr=True)) as bars:
        async with mcp_client(os.environ, bars.line) as client:
            require(await tools_of(client), "maas_get_machine", "maas_deploy_machine")
            if label is None:
                return await call_tool(client, tool, {"system_id": system_id})
            return await call_with_bar(client, tool, {"system_id": system_id}, bars.add(label))


def _warning(machine: dict[str, Any], url: str) -> str:
    owner = f" for {machine['owner']}" if machine["owner"] else ""
    system = f", with {machine['osystem']}/{machine['distro_series']}" if machine["osystem"] else ""
    size = machine["storage"] / 1000
    return (
        f"{machine['hostname']} ({machine['system_id']}) of {url}\n"
        f"  {machine['status_name']}{owner}{system}; {machine['architecture']}, {machine['cpu_count']} CPUs, "
        f"{machine['memory'] // 1024} GiB of memory, {size:.0f} GB of disks\n"
        "Deploying it installs the region's default operating system. All data on its disks will be overwritten."
    )


def _confirmed(hostname: str) -> bool:
    typed: str = click.prompt(f"Type {hostname} to deploy it", default="", show_default=False, err=True)
    if typed.strip() == hostname:
        return True
    click.echo("This is not its hostname. Nothing was sent to MAAS.", err=True)
    return False
