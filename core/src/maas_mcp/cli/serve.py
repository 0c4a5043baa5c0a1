"""``maas-mcp serve``: the MCP server on stdin and stdout, or over HTTP."""

import logging
import sys

import click

from maas_mcp.cli.common import paused_garbage_collection, print_text
from maas_mcp.plugins.polling_choice import chosen_strategy
from maas_mcp.plugins.registry import Registry, load_registry
from maas_mcp.server.wire import take_wire
from maas_mcp.settings import Settings, plugin_tables


@click.command(
    "serve",
    epilog="Exit codes: 0 stopped; 1 a plugin cannot be loaded, with --strict-plugins; 2 wrong usage or settings.",
)
@click.option(
    "--strict-plugins",
    is_flag=True,
    help="Exit if a plugin cannot be loaded. By default the server starts without it.",
)
@click.option(
    "--http",
    "address",
    metavar="HOST:PORT",
    help="Serve many clients over HTTP at this address and the path /mcp. By default, serve one over stdin.",
)
def command(*, strict_plugins: bool, address: str | None) -> None:
    """Serve MCP over stdin and stdout for one client, or over HTTP for many clients.

    Needs MAAS_URL and MAAS_API_KEY. Logs go to stderr. Stops at end of input, SIGTERM or SIGINT. Operations already
    started in MAAS continue.
    """
    settings = Settings.load()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings.require_region()
    if address is None:
        _serve_stdio(settings, strict=strict_plugins)
    else:
        _serve_http(settings, address, strict=strict_plugins)


def _serve_stdio(settings: Settings, *, strict: bool) -> None:
    closed = [name for name in ("stdin", "stdout") if getattr(sys, name) is None]
    if closed:
        raise click.UsageError(
            f"{' and '.join(closed)} is closed. An MCP server needs stdin and stdout: start it from an MCP client."
        )
    if sys.stdin.isatty():
        print_text(
            "`maas-mcp serve` is started by MCP clients. To call a tool yourself, run "
            "`maas-mcp call`. Press Ctrl-D to stop.",
            err=True,
        )
    wire = take_wire()  # before plugins are imported: their output must not reach the client
    with paused_garbage_collection():
        registry = _load_plugins(settings, strict=strict)
        from maas_mcp.server.stdio import serve  # noqa: PLC0415 - the MCP SDK takes most of the start-up time

    serve(registry, settings, wire)


def _serve_http(settings: Settings, text: str, *, strict: bool) -> None:
    from maas_mcp.server.http.address import HttpAddress  # noqa: PLC0415 - only HTTP needs it

    address = HttpAddress.parse(text)
    address.check_safe(settings)
    with paused_garbage_collection():
        registry = _load_plugins(settings, strict=strict)
        from maas_mcp.server.http.runner import serve  # noqa: PLC0415 - the MCP SDK takes most of the start-up time

    serve(registry, settings, address, lambda url: print_text(f"Serving MCP at {url}", err=True))


def _load_plugins(settings: Settings, *, strict: bool) -> Registry:
    registry = load_registry(
        allow=settings.plugins_allow,
        block=settings.plugins_block,
        strict=strict or settings.strict_plugins,
        tables=plugin_tables(),
    )
    chosen_strategy(settings.polling)  # fail at start-up, not at the first operation
    return registry
