"""``maas-mcp demo --real``: deploys one machine of a real region, after a confirmation."""

import os
from functools import partial
from typing import Any

import click
from mcp_types import CallToolResult

from maas_mcp.cli.bars import Bars, Terminal
from maas_mcp.cli.client import (
    call_tool,
    call_with_bar,
    list_tools,
    mcp_client,
    require_tools,
    result_exit_code,
    result_text,
)
from maas_mcp.cli.common import EXIT_FAILURE, Interrupted, print_text
from maas_mcp.cli.interrupt import run
from maas_mcp.credentials.regions import find_regions
from maas_mcp.machine_text import quoted
from maas_mcp.settings import Settings


def deploy(system_id: str, *, confirmed: bool) -> int:
    """Deploy a machine of the configured region. Returns the exit code.

    Args:
        system_id: The machine.
        confirmed: Whether the user has confirmed already, with ``--yes``.
    """
    region = find_regions(Settings.load())[0].access
    found = run(partial(_call, "maas_get_machine", system_id, None))
    machine = found.structured_content
    if found.is_error or machine is None:
        print_text(f"Error: {result_text(found)}", err=True)
        return result_exit_code(found)
    hostname = quoted(machine["hostname"])
    print_text(_warning(machine, region.api_url))
    if not confirmed and not _confirmed(machine["hostname"]):
        return EXIT_FAILURE
    try:
        result = run(partial(_call, "maas_deploy_machine", system_id, hostname))
    except Interrupted as interruption:
        message = f"Interrupted: stopped following {hostname}. The operation continues in MAAS."
        raise Interrupted(interruption.number, message) from None
    print_text(f"Error: {result_text(result)}" if result.is_error else result_text(result), err=result.is_error)
    return result_exit_code(result)


async def _call(tool: str, system_id: str, label: str | None) -> CallToolResult:
    """Start a server and call a tool for the machine, with a bar if there is a label."""
    with Bars(Terminal(stderr=True)) as bars:
        async with mcp_client(os.environ, bars.line) as client:
            require_tools(await list_tools(client), "maas_get_machine", "maas_deploy_machine")
            if label is None:
                return await call_tool(client, tool, {"system_id": system_id})
            return await call_with_bar(client, tool, {"system_id": system_id}, bars.add(label))


def _warning(machine: dict[str, Any], url: str) -> str:
    owner = f" for {machine['owner']}" if machine["owner"] else ""
    system = f", with {quoted(machine['osystem'])}/{quoted(machine['distro_series'])}" if machine["osystem"] else ""
    architecture = quoted(machine["architecture"] or "unknown architecture")
    size = machine["storage"] / 1000
    return (
        f"{quoted(machine['hostname'])} ({machine['system_id']}) at {url}\n"
        f"  {machine['status_name']}{owner}{system}; {architecture}, {machine['cpu_count']} CPUs, "
        f"{machine['memory'] // 1024} GiB of memory, {size:.0f} GB of disks\n"
        "Deploying it installs the region's default operating system and overwrites all data on its disks."
    )


def _confirmed(hostname: str) -> bool:
    shown = quoted(hostname)
    typed: str = click.prompt(f"Type {shown} to confirm", default="", show_default=False, err=True)
    if typed.strip() == hostname:
        return True
    click.echo(
        f"The hostname does not match. Nothing was sent to MAAS. To deploy, run again and type {shown}.", err=True
    )
    return False
