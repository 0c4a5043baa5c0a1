"""``maas-mcp serve``: the MCP server on stdin and stdout."""

import logging
import sys

import click

from maas_mcp.cli.common import importing, say
from maas_mcp.plugins.polling_choice import chosen_strategy
from maas_mcp.plugins.registry import load_registry
from maas_mcp.server.wire import take_wire
from maas_mcp.settings import Settings


@click.command(
    "serve",
    epilog="Exit codes: 0 the client has ended it; 1 a plugin cannot be used, with --strict-plugins; "
    "2 wrong usage, or settings that cannot be used.",
)
@click.option(
    "--strict-plugins",
    is_flag=True,
    help="End with an error if any plugin cannot be used. By default the others are served.",
)
def command(*, strict_plugins: bool) -> None:
    """Serve MCP on stdin and stdout, as a client starts it.

    Needs MAAS_URL and MAAS_API_KEY. Logs go to stderr. It ends when stdin ends, or on SIGTERM or SIGINT; what MAAS has
    begun by then goes on.
    """
    settings = Settings.load()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings.require_region()
    closed = [name for name in ("stdin", "stdout") if getattr(sys, name) is None]
    if closed:
        raise click.UsageError(f"MCP is spoken on stdin and stdout, and {' and '.join(closed)} is closed.")
    if sys.stdin.isatty():
        say(
            "maas-mcp serve speaks MCP on stdin: let an MCP client start it. `maas-mcp call` is one for people. "
            "Ctrl-D ends this.",
            err=True,
        )
    wire = take_wire()  # before any plugin is imported: what it prints must not reach the client
    with importing():
        registry = load_registry(
            allow=settings.plugins_allow,
            block=settings.plugins_block,
            strict=strict_plugins or settings.strict_plugins,
        )
        chosen_strategy(settings.polling)  # now, and not when the first machine is to be deployed
        from maas_mcp.server.stdio import serve  # noqa: PLC0415 - the MCP SDK takes most of the start-up

    serve(registry, settings, wire)
