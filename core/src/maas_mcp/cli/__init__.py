"""The command line: ``maas-mcp`` and its commands."""

import sys
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import Any, ClassVar

import click

from maas_mcp import __version__
from maas_mcp.cli.common import (
    EXIT_CODES,
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    WRITE_ERRORS,
    Interrupted,
    exit_code,
    paused_garbage_collection,
    print_text,
    replace_unencodable_characters,
    show_error,
    wrap_error,
)
from maas_mcp.errors import MaasMcpError


class _LazyGroup(click.Group):
    """Imports a command only when it is used, so that ``serve`` starts without rich. Shows errors as messages."""

    COMMANDS: ClassVar = MappingProxyType(
        {
            "audit": "Verify the audit: the record of the calls that change something.",
            "call": "Call one of the server's tools and show its progress.",
            "demo": "Demonstrate maas-mcp on a simulated MAAS region.",
            "doctor": "Check that maas-mcp is ready to use.",
            "login": "Log in to a MAAS region, or store the API key of an HTTP principal.",
            "logout": "Remove your login to a MAAS region, or the API key of a principal.",
            "plugins": "List the installed plugins with their tools and skills.",
            "policy": "Show the server's policy, and explain its response to a call.",
            "serve": "Serve MCP over stdin and stdout for one client, or over HTTP for many clients.",
            "simulate": "Run a simulated MAAS region.",
            "token": "Create, list and revoke the tokens of HTTP clients.",
        }
    )

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own hook
        return list(self.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's own hook
        if cmd_name not in self.COMMANDS:
            return None
        with paused_garbage_collection():
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
            suggestion = f"Did you mean {close[0]}?" if close else f"The commands are: {', '.join(self.COMMANDS)}."
            ctx.fail(f"No such command {args[0]!r}. {suggestion}")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **extra)
        except OSError as error:
            if error.errno not in WRITE_ERRORS:
                raise
            print_text(f"Error: Cannot write the output: {error.strerror}.", err=True)
        sys.stdout = None  # Python would flush it again at exit, and fail again
        sys.exit(EXIT_FAILURE)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            problem = error
        except MaasMcpError as error:
            show_error(error)
            sys.exit(exit_code(error))
        except Interrupted as interruption:
            print_text(interruption.message, err=True)
            sys.exit(interruption.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            sys.exit(EXIT_INTERRUPTED)
        raise wrap_error(problem)


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="maas-mcp")
def main() -> None:
    """An MCP server for Canonical MAAS.

    Lets an assistant deploy, commission and release physical machines, and shows progress from MAAS's own events.

    Try `maas-mcp demo` first: it needs no MAAS region. Then run `maas-mcp login`, or set MAAS_URL and MAAS_API_KEY as
    environment variables or in the TOML file at MAAS_MCP_CONFIG. `maas-mcp doctor` checks your settings and your
    region. MCP clients start `maas-mcp serve`.
    """
    replace_unencodable_characters()
