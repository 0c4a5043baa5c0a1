"""``maas-mcp serve``: the MCP server on stdin and stdout, or over HTTP."""

import gc
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from maas_mcp.cli.common import paused_garbage_collection, print_text
from maas_mcp.cli.logs import configure_logging, log_always
from maas_mcp.credentials.regions import LocalRegions, ignored_sources
from maas_mcp.plugins.polling_choice import chosen_strategy
from maas_mcp.plugins.registry import Registry, load_registry
from maas_mcp.server.wire import take_wire
from maas_mcp.settings import Settings, find_misnamed_variables, plugin_tables

if TYPE_CHECKING:
    from maas_mcp.server.catalogue import Configuration

logger = logging.getLogger(__name__)

COLLECTION: Final = (1000, 20, 100)
"""Thresholds of the garbage collector, for ``gc.set_threshold``.

Each response over HTTP leaves a hundred objects in reference cycles, in the SDK's streams. They die young, so the first
generations find them within milliseconds. Python's own thresholds also let a server with hundreds of calls search all
of its memory every few seconds, because calls under way survive the first generations. Each search stops it for half a
second.
"""


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
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="Format of the log. By default MAAS_MCP_LOG_FORMAT, or text.",
)
def command(*, strict_plugins: bool, address: str | None, log_format: str | None) -> None:
    """Serve MCP over stdin and stdout for one client, or over HTTP for many clients.

    Needs a login of `maas-mcp login`, MAAS_MCP_PROFILES, or MAAS_URL and MAAS_API_KEY. With authentication, HTTP needs
    only MAAS_URL, because each principal has a key of its own. Logs go to stderr. Stops at end of input, SIGTERM or
    SIGINT. Operations already started in MAAS continue.

    SIGHUP reloads the lists of plugins, the mode, the policy and the selection of tools from the TOML file. An invalid
    configuration is logged, and nothing changes.
    """
    _hold_hangups()
    given: dict[str, Any] = {} if log_format is None else {"log_format": log_format}
    settings = Settings.load(**given)
    regions = _find_regions(settings, http=address is not None)
    configure_logging(settings, [] if regions is None else [each.access for each in regions.all])
    gc.set_threshold(*COLLECTION)
    if regions is not None and (ignored := ignored_sources(settings)):
        logger.warning("Ignored settings: %s. The region comes from %s", " and ".join(ignored), regions.all[0].source)
    for name, meant in find_misnamed_variables().items():
        logger.warning("%s is not a setting. Did you mean %s?", name, meant)
    if address is None:
        _serve_stdio(settings, regions, strict=strict_plugins)
    else:
        _serve_http(settings, regions, address, strict=strict_plugins)


def _find_regions(settings: Settings, *, http: bool) -> LocalRegions | None:
    """Find the regions of the local user, or ``None`` if callers authenticate: each then has a key of its own."""
    if http:
        from maas_mcp.access.configuration import HttpAccess  # noqa: PLC0415 - only HTTP needs it

        if HttpAccess.from_settings(settings) is not None:
            settings.anonymous_region()
            return None
    regions = LocalRegions(settings)
    regions.all  # noqa: B018 - fail at start-up, not at the first call
    return regions


def _hold_hangups() -> None:
    """Block SIGHUP, which would end the process, until the server can reload. It is then delivered."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def _serve_stdio(settings: Settings, regions: LocalRegions | None, *, strict: bool) -> None:
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

    serve(registry, settings, wire, load=lambda: _load_configuration(strict=strict), regions=regions)


def _serve_http(settings: Settings, regions: LocalRegions | None, text: str, *, strict: bool) -> None:
    from maas_mcp.server.http.address import HttpAddress  # noqa: PLC0415 - only HTTP needs it

    address = HttpAddress.parse(text)
    address.check_safe(settings)
    with paused_garbage_collection():
        registry = _load_plugins(settings, strict=strict)
        from maas_mcp.server.http.runner import serve  # noqa: PLC0415 - the MCP SDK takes most of the start-up time

    serve(
        registry,
        settings,
        address,
        lambda url: _announce(settings, f"Serving MCP at {url}"),
        load=lambda: _load_configuration(strict=strict),
        regions=regions,
    )


def _announce(settings: Settings, text: str) -> None:
    if settings.log_format == "json":
        log_always(logger, text)
    else:
        print_text(text, err=True)


def _load_configuration(*, strict: bool) -> "Configuration":
    from maas_mcp.server.catalogue import Configuration  # noqa: PLC0415 - imported by the server already

    settings = Settings.load()
    return Configuration(_load_plugins(settings, strict=strict), settings)


def _load_plugins(settings: Settings, *, strict: bool) -> Registry:
    registry = load_registry(
        allow=settings.plugins_allow,
        block=settings.plugins_block,
        strict=strict or settings.strict_plugins,
        tables=plugin_tables(),
    )
    chosen_strategy(settings.polling)  # fail at start-up, not at the first operation
    return registry
