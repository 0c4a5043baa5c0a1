"""``maas-mcp call``: calls one tool from the command line."""

import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Collection, Mapping
from typing import Any, Final

import anyio
import click
from mcp.client import Client
from mcp_types import CallToolResult, Tool

from maas_mcp.cli import arguments
from maas_mcp.cli.asking import TerminalAsker, can_ask
from maas_mcp.cli.bars import Bars, Terminal
from maas_mcp.cli.client import call_with_bar, list_tools, mcp_client, refusal_of, result_exit_code, result_text
from maas_mcp.cli.common import EXIT_CODES, Interrupted, print_text
from maas_mcp.cli.interrupt import run
from maas_mcp.credentials.regions import find_regions
from maas_mcp.machine_text import make_visible
from maas_mcp.settings import Settings

_LINE_BREAK: Final = re.compile(r"(?<=\S)\n(?=\w)")
"""A line break inside a paragraph of a description, which is wrapped again for the terminal."""


@click.command("call", epilog=EXIT_CODES)
@click.argument("tool", required=False)
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--list", "listing", is_flag=True, help="List the tools, or with TOOL the arguments of that tool.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON. By default as text.")
def command(*, tool: str | None, pairs: tuple[str, ...], listing: bool, as_json: bool) -> None:
    """Call one of the server's tools and show its progress.

    Starts the MCP server as a client does, with the same settings, and calls TOOL. Without TOOL, lists the tools. The
    result goes to stdout. Progress, messages and errors go to stderr.

    \b
    maas-mcp call maas_list_machines status=ready,allocated limit=10
    maas-mcp call maas_deploy_machine system_id=4y3h7n user_data=@cloud-init.yaml

    The tool's schema decides how a value is parsed: true or false for a boolean, commas between the items of a list
    (or a JSON array), JSON for an object. KEY=@FILE reads the value from a file. Write KEY=@@… for a value that
    starts with @.

    Before a call destroys something, it asks you on a terminal. Elsewhere, pass plan=true first: the call then changes
    nothing, and shows a plan with its plan_id. The same call with plan_id=… instead of plan=true applies the plan.

    Ctrl-C cancels the call. An operation that MAAS has already started continues, unless you pass on_cancel=abort.
    """  # noqa: D301 - \b keeps click from wrapping the paragraph
    find_regions(Settings.load())  # fail before starting a server that would report the same error
    call = Call(tool, pairs, listing=listing or tool is None, as_json=as_json)
    try:
        code = run(call.run, call.stop)
    except Interrupted as interruption:
        message = interruption_message(call.called, call.given_arguments, call.served, asking=call.is_asking)
        raise Interrupted(interruption.number, message) from None
    sys.exit(code)


class Call:
    """One run of ``maas-mcp call``."""

    def __init__(self, name: str | None, pairs: tuple[str, ...], *, listing: bool, as_json: bool) -> None:
        self._name = name
        self._pairs = pairs
        self._listing = listing
        self._as_json = as_json
        self.called: Tool | None = None
        """The tool, once the call has started."""
        self.given_arguments: dict[str, Any] = {}
        """The arguments of the call."""
        self.served: Collection[str] = ()
        """The names of the server's tools."""
        self._scope: anyio.CancelScope | None = None
        self._asker: TerminalAsker | None = None

    async def run(self) -> int:
        """List tools or call one. Returns the exit code."""
        with Bars(Terminal(stderr=True)) as bars:
            self._asker = TerminalAsker(bars.line, bars.pause) if can_ask() else None
            async with mcp_client(os.environ, bars.line, self._asker) as client:
                tools = await list_tools(client)
                self.served = tools.keys()
                if self._name and self._name not in tools and (refusal := await refusal_of(client, self._name)):
                    return self._show(refusal)
                chosen = arguments.find_tool(tools, self._name) if self._name is not None else None
                if chosen is None or self._listing:
                    self._show_list([chosen] if chosen else list(tools.values()), in_full=chosen is not None)
                    return 0
                result = await self._call(client, bars, chosen)
        return self._show(result)

    @property
    def is_asking(self) -> bool:
        """Whether the call waited for an answer of the user when it ended."""
        return self._asker is not None and self._asker.is_asking

    async def _call(self, client: Client, bars: Bars, tool: Tool) -> CallToolResult:
        self.given_arguments = arguments.parse(tool, self._pairs)
        self.called = tool
        with anyio.CancelScope() as self._scope:
            return await call_with_bar(client, tool.name, self.given_arguments, bars.add(tool.name))
        raise Interrupted(signal.SIGINT)

    def stop(self) -> bool:
        """Cancel the running call, so that the server receives the cancellation before the connection closes.

        Returns:
            Whether a call was running.
        """
        if self._scope is None:
            return False
        self._scope.cancel()
        return True

    def _show(self, result: CallToolResult) -> int:
        if result.is_error:
            print_text(f"Error: {result_text(result)}", err=True)
        elif self._as_json:
            click.echo(_json(result.structured_content))
        else:
            print_text(result_text(result), indent="  ")
        return result_exit_code(result)

    def _show_list(self, tools: list[Tool], *, in_full: bool) -> None:
        if self._as_json:
            click.echo(_json([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]))
        elif in_full:
            for tool in tools:
                print_text(f"{tool.name}: {_LINE_BREAK.sub(' ', tool.description or '')}")
                click.echo(make_visible(f"\n{arguments.describe(tool)}"))
        else:
            formatter = click.HelpFormatter()
            formatter.write_dl([(tool.name, arguments.summary(tool)) for tool in tools])
            click.echo(
                make_visible(formatter.getvalue()) + "\n`maas-mcp call --list TOOL` lists the arguments of a tool."
            )


def interruption_message(
    tool: Tool | None, arguments: Mapping[str, Any], served: Collection[str], *, asking: bool = False
) -> str:
    """Return the message to show after Ctrl-C.

    Args:
        tool: The tool that was called, or ``None`` if the call had not started.
        arguments: The arguments of the call.
        served: The names of the server's tools. The message suggests only these.
        asking: Whether the call waited for the user's answer.
    """
    if tool is None:
        return "Interrupted before anything was sent to MAAS."
    if tool.annotations and tool.annotations.read_only_hint:
        return "Interrupted."
    if asking:
        return f"Interrupted: {tool.name} was waiting for your answer, and did not go on."
    aborted = arguments.get("on_cancel") == "abort"
    effect = "maas-mcp asks MAAS to abort the operation" if aborted else "The operation continues in MAAS"
    machine = arguments.get("system_id")
    if machine and "maas_get_machine" in served:
        status_call = f"maas_get_machine {shlex.quote(f'system_id={machine}')}"
    else:
        status_call = "maas_list_operations"
    return f"Interrupted: stopped following {tool.name}. {effect}. Run `maas-mcp call {status_call}` to see its status."


def _json(value: Any) -> str:
    return make_visible(json.dumps(value, indent=2, ensure_ascii=False))
