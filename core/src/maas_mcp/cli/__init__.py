"""The command line: ``maas-mcp serve | demo | call | plugins | doctor | simulate``."""

import sys
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import Any, ClassVar

import click

from maas_mcp import __version__
from maas_mcp.cli.common import EXIT_CODES, EXIT_INTERRUPTED, Interrupted, exit_code, importing, say, show_error
from maas_mcp.errors import MaasMcpError


class _Lazy(click.Group):
    """Imports a command when it is used, so that ``serve`` starts without what draws bars; shows errors as messages."""

    COMMANDS: ClassVar = MappingProxyType(
        {
            "call": "Call a tool of the server, with a progress bar.",
            "demo": "Show it all on a simulated MAAS region.",
            "doctor": "Check that everything needed is in place.",
            "plugins": "List the installed plugins and their tools.",
            "serve": "Serve MCP on stdin and stdout, as a client starts it.",
            "simulate": "Run a simulated MAAS region.",
        }
    )

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own hook
        return list(self.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's own hook
        if cmd_name not in self.COMMANDS:
            return None
        with importing():
            command: click.Command = import_module(f"maas_mcp.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Commands"):
            formatter.write_dl(list(self.COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], self.COMMANDS, n=1)
            known = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(self.COMMANDS)}."
            ctx.fail(f"No such command {args[0]!r}. {known}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MaasMcpError as error:
            show_error(error)
            sys.exit(exit_code(error))
        except Interrupted as interruption:
            say(interruption.message, err=True)
            sys.exit(interruption.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            sys.exit(EXIT_INTERRUPTED)


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="maas-mcp")
def main() -> None:
    """An MCP server for Canonical MAAS.

    It deploys, commissions and releases physical machines for an assistant, with MAAS's own progress.

    `maas-mcp demo` shows it without a MAAS region, `maas-mcp doctor` checks the settings for yours, and
    `maas-mcp serve` is what an MCP client starts. The settings are environment variables, MAAS_URL and MAAS_API_KEY
    first of all, or a TOML file that MAAS_MCP_CONFIG names.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Unicode gets question marks instead of a traceback.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")
