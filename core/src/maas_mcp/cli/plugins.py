"""``maas-mcp plugins``: what is installed, and what became of it."""

import json
import logging
import sys
from dataclasses import asdict
from typing import Final, TextIO

import click

from maas_mcp.cli.common import EXIT_CODES, EXIT_FAILURE, say
from maas_mcp.cli.own_stdout import own_stdout
from maas_mcp.plugins.registry import PluginRecord, PluginState, load_registry
from maas_mcp.settings import Settings

UNWRAPPED: Final = 10_000
"""Columns where nobody looks: programs that read lines want them whole."""
STYLES: Final = {PluginState.LOADED: "green", PluginState.FAILED: "red", PluginState.BLOCKED: "yellow"}


@click.command("plugins", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON. By default a table.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a plugin cannot be used. By default with 0.")
def command(*, as_json: bool, strict: bool) -> None:
    """List the installed plugins and their tools.

    Loads every plugin as the server does, with the same settings, and shows its state. Needs no MAAS region.
    """
    with own_stdout() as stdout:
        records = installed()
        if as_json:
            click.echo(json.dumps([asdict(record) for record in records], indent=2), file=stdout)
        elif records:
            _print(records, stdout)
        else:
            installs = "`pip install maas-mcp` installs deploy, commission and inventory."
            click.echo(f"No plugin is installed. {installs}", file=stdout)
    if strict and any(record.state is PluginState.FAILED for record in records):
        sys.exit(EXIT_FAILURE)


def installed() -> tuple[PluginRecord, ...]:
    """What became of each installed plugin. A failure is in its record, so that it is not logged besides."""
    settings = Settings.load()
    logger = logging.getLogger("maas_mcp.plugins")
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.levelno < logging.ERROR)
    logger.addHandler(handler)
    try:
        return load_registry(allow=settings.plugins_allow, block=settings.plugins_block).records
    finally:
        logger.removeHandler(handler)


def _print(records: tuple[PluginRecord, ...], stdout: TextIO) -> None:
    """A table, or where that is too wide, paragraphs: the name of a tool is to be typed elsewhere, and is never cut."""
    from rich.console import Console  # noqa: PLC0415 - for people only
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table("Plugin", "Distribution", "State", "Tools", box=None, pad_edge=False)
    for record in records:
        state = Text(record.state, style=STYLES[record.state])
        what = Text(record.error, style="red") if record.error else Text("\n".join(record.tools))
        table.add_row(Text(record.name), Text(f"{record.distribution} {record.version}"), state, what)
    console = Console(file=stdout, highlight=False)
    if not console.is_terminal:
        console.width = UNWRAPPED
    unlimited = console.options.update_width(UNWRAPPED)
    if console.measure(table, options=unlimited).maximum <= console.width:
        console.print(table)
        return
    for record in records:
        say(f"{record.name}: {record.state}, {record.distribution} {record.version}", indent="  ", to=stdout)
        say(f"  {record.error or ', '.join(record.tools)}", to=stdout)
