"""``maas-mcp call``: an MCP client for people."""

import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from typing import Any, Final

import anyio
import click
from mcp.client import Client
from mcp_types import CallToolResult, Tool

from maas_mcp.cli import arguments
from maas_mcp.cli.bars import Bars, Terminal
from maas_mcp.cli.client import call_with_bar, exit_code_of, mcp_client, text_of, tools_of
from maas_mcp.cli.common import EXIT_CODES, Interrupted, say
from maas_mcp.cli.interrupt import run
from maas_mcp.settings import Settings

_WRAPPED: Final = re.compile(r"(?<=\S)\n(?=\w)")
"""The end of a line within a paragraph of a description: the terminal may be narrower than the source."""


@click.command("call", epilog=EXIT_CODES)
@click.argument("tool", required=False)
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--list", "listing", is_flag=True, help="List the tools, or with TOOL the arguments of that tool.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON. By default as text.")
def command(*, tool: str | None, pairs: tuple[str, ...], listing: bool, as_json: bool) -> None:
    """Call one of the server's tools and show its progress.

    Starts the MCP server as a client does, with the same settings, and calls TOOL. Without TOOL, lists the tools. The
    result goes to stdout; progress, messages and errors go to stderr.

    \b
    maas-mcp call maas_list_machines status=ready,allocated limit=10
    maas-mcp call maas_deploy_machine system_id=4y3h7n user_data=@cloud-init.yaml

    The tool's schema decides how a value is parsed: true or false for a boolean, commas between the items of a list
    (or a JSON array), JSON for an object. KEY=@FILE reads the value from a file. Write KEY=@@… for a value that
    starts with @.

    Ctrl-C cancels the call. An operation that has started in MAAS continues, unless you pass on_cancel=abort.
    """  # noqa: D301 - \b is click's mark for a paragraph that is not to be wrapped
    Settings.load().require_region()  # before a server is started that would say the same
    call = Call(tool, pairs, listing=listing or tool is None, as_json=as_json)
    try:
        code = run(call.run, call.stop)
    except Interrupted as interruption:
        raise Interrupted(interruption.number, after_interruption(call.called, call.given)) from None
    sys.exit(code)


class Call:
    """One run of the command."""

    def __init__(self, name: str | None, pairs: tuple[str, ...], *, listing: bool, as_json: bool) -> None:
        self._name = name
        self._pairs = pairs
        self._listing = listing
        self._as_json = as_json
        self.called: Tool | None = None
        """The tool, once it is called."""
        self.given: dict[str, Any] = {}
        """Its arguments."""
        self._scope: anyio.CancelScope | None = None

    async def run(self) -> int:
        """Do what was asked for; returns the exit code."""
        with Bars(Terminal(stderr=True)) as bars:
            async with mcp_client(os.environ, bars.line) as client:
                tools = await tools_of(client)
                chosen = arguments.find(tools, self._name) if self._name is not None else None
                if chosen is None or self._listing:
                    self._show_list([chosen] if chosen else list(tools.values()), whole=chosen is not None)
                    return 0
                result = await self._call(client, bars, chosen)
        return self._show(result)

    async def _call(self, client: Client, bars: Bars, tool: Tool) -> CallToolResult:
        self.given = arguments.parse(tool, self._pairs)
        self.called = tool
        with anyio.CancelScope() as self._scope:
            return await call_with_bar(client, tool.name, self.given, bars.add(tool.name))
        raise Interrupted(signal.SIGINT)

    def stop(self) -> bool:
        """Cancel the call alone, so that the server is told before the connection ends; whether there was one."""
        if self._scope is None:
            return False
        self._scope.cancel()
        return True

    def _show(self, result: CallToolResult) -> int:
        if result.is_error:
            say(f"Error: {text_of(result)}", err=True)
        elif self._as_json:
            click.echo(_json(result.structured_content))
        else:
            say(text_of(result), indent="  ")
        return exit_code_of(result)

    def _show_list(self, tools: list[Tool], *, whole: bool) -> None:
        if self._as_json:
            click.echo(_json([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]))
        elif whole:
            for tool in tools:
                say(f"{tool.name}: {_WRAPPED.sub(' ', tool.description or '')}")
                click.echo(f"\n{arguments.describe(tool)}")
        else:
            formatter = click.HelpFormatter()
            formatter.write_dl([(tool.name, arguments.summary(tool)) for tool in tools])
            click.echo(formatter.getvalue() + "\n`maas-mcp call --list TOOL` lists the arguments of a tool.")


def after_interruption(tool: Tool | None, arguments: Mapping[str, Any]) -> str:
    """The message for a person who has pressed Ctrl-C.

    Args:
        tool: The one that was called, if it came to that.
        arguments: What it was called with.
    """
    if tool is None:
        return "Interrupted before anything was sent to MAAS."
    if tool.annotations and tool.annotations.read_only_hint:
        return "Interrupted."
    aborted = arguments.get("on_cancel") == "abort"
    then = "maas-mcp asks MAAS to abort the operation" if aborted else "The operation continues in MAAS"
    machine = arguments.get("system_id")
    look = f"maas_get_machine {shlex.quote(f'system_id={machine}')}" if machine else "maas_list_operations"
    return f"Interrupted: {tool.name} is no longer followed. {then}; `maas-mcp call {look}` shows its status."


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
