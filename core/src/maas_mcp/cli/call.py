"""``maas-mcp call``: an MCP client for people."""

import json
import os
import sys
from typing import Any

import click
from mcp.client import Client
from mcp_types import CallToolResult, Tool
from rich.console import Console

from maas_mcp.cli import arguments
from maas_mcp.cli.bars import Bars
from maas_mcp.cli.client import call_with_bar, exit_code_of, mcp_client, text_of, tools_of
from maas_mcp.cli.common import EXIT_CODES, Interrupted, say
from maas_mcp.cli.interrupt import run
from maas_mcp.settings import Settings


@click.command("call", epilog=EXIT_CODES)
@click.argument("tool", required=False)
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--list", "listing", is_flag=True, help="List the tools; with TOOL, the arguments of that one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs. By default text for people.")
def command(*, tool: str | None, pairs: tuple[str, ...], listing: bool, as_json: bool) -> None:
    """Call a tool of the server, with a progress bar.

    Starts the MCP server as a client does, with the same settings, and calls TOOL. Without TOOL it lists the tools.
    The result goes to stdout; progress, messages and errors go to stderr.

    \b
    maas-mcp call maas_list_machines status=ready,allocated limit=10
    maas-mcp call maas_deploy_machine system_id=4y3h7n user_data=@cloud-init.yaml

    Values are read by the tool's own schema: true or false for a switch, commas between the items of a list or a JSON
    array, JSON for an object. KEY=@FILE reads the value from a file; KEY=@@… is a value that begins with @.

    Ctrl-C cancels the call. What MAAS has begun by then goes on.
    """  # noqa: D301 - \b is click's mark for a paragraph that is not to be wrapped
    Settings.load().require_region()  # before a server is started that would say the same
    call = Call(tool, pairs, listing=listing or tool is None, as_json=as_json)
    try:
        code = run(call.run)
    except Interrupted as interruption:
        raise Interrupted(interruption.number, call.after_interruption()) from None
    sys.exit(code)


class Call:
    """One run of the command."""

    def __init__(self, name: str | None, pairs: tuple[str, ...], *, listing: bool, as_json: bool) -> None:
        self._name = name
        self._pairs = pairs
        self._listing = listing
        self._as_json = as_json
        self._called: Tool | None = None

    async def run(self) -> int:
        """Do what was asked for; returns the exit code."""
        with Bars(Console(stderr=True)) as bars:
            async with mcp_client(os.environ, bars.line) as client:
                tools = await tools_of(client)
                chosen = arguments.find(tools, self._name) if self._name is not None else None
                if chosen is None or self._listing:
                    self._show_list([chosen] if chosen else list(tools.values()), whole=chosen is not None)
                    return 0
                result = await self._call(client, bars, chosen)
        return self._show(result)

    def after_interruption(self) -> str:
        """What a person who has pressed Ctrl-C wants to know."""
        if self._called is None:
            return "Interrupted before anything was asked of MAAS."
        if self._called.annotations and self._called.annotations.read_only_hint:
            return "Interrupted."
        return (
            f"Interrupted: {self._called.name} is no longer followed. MAAS goes on with what it has begun; "
            "`maas-mcp call maas_get_machine system_id=…` shows how far it is."
        )

    async def _call(self, client: Client, bars: Bars, tool: Tool) -> CallToolResult:
        given = arguments.parse(tool, self._pairs)
        self._called = tool
        return await call_with_bar(client, tool.name, given, bars.add(tool.name))

    def _show(self, result: CallToolResult) -> int:
        if result.is_error:
            say(f"Error: {text_of(result)}", err=True)
        else:
            click.echo(_json(result.structured_content) if self._as_json else text_of(result))
        return exit_code_of(result)

    def _show_list(self, tools: list[Tool], *, whole: bool) -> None:
        if self._as_json:
            click.echo(_json([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]))
        elif whole:
            for tool in tools:
                say(f"{tool.name}: {tool.description}")
                click.echo(f"\n{arguments.describe(tool)}")
        else:
            formatter = click.HelpFormatter()
            formatter.write_dl([(tool.name, arguments.summary(tool)) for tool in tools])
            click.echo(formatter.getvalue() + "\nThe arguments of one: maas-mcp call --list TOOL")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
