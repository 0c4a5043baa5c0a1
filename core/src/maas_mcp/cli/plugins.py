"""``maas-mcp plugins``: lists the installed plugins and their state."""

import json
import logging
import sys
from dataclasses import asdict
from typing import Final, TextIO

import click

from maas_mcp.cli.common import EXIT_CODES, EXIT_FAILURE, print_text
from maas_mcp.cli.stdout import reserve_stdout
from maas_mcp.plugins.registry import PluginRecord, PluginState, Registry, load_registry
from maas_mcp.settings import Settings, plugin_tables

UNLIMITED_COLUMNS: Final = 10_000
"""Columns for output that is not a terminal: programs need unwrapped lines."""
STYLES: Final = {PluginState.LOADED: "green", PluginState.FAILED: "red", PluginState.BLOCKED: "yellow"}


@click.command("plugins", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON. By default a table.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a plugin or a skill cannot be used. By default with 0.")
def command(*, as_json: bool, strict: bool) -> None:
    """List the installed plugins with their tools and skills.

    Loads every plugin with the server's settings, and shows which are loaded, failed or blocked. Needs no MAAS region.
    """
    with reserve_stdout() as stdout:
        records = load_installed().records
        if as_json:
            click.echo(json.dumps([asdict(record) for record in records], indent=2), file=stdout)
        elif records:
            _print(records, stdout)
        else:
            hint = "`pip install maas-mcp` installs the plugins deploy, commission, configure and inventory."
            click.echo(f"No plugin is installed. {hint}", file=stdout)
    if strict and any(record.state is PluginState.FAILED or record.broken_skills for record in records):
        sys.exit(EXIT_FAILURE)


def load_installed() -> Registry:
    """Load the installed plugins. A failure is in the plugin's record, so it is not logged as well."""
    settings = Settings.load()
    logger = logging.getLogger("maas_mcp.plugins")
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.levelno < logging.ERROR)
    logger.addHandler(handler)
    try:
        return load_registry(
            allow=settings.plugins_allow,
            block=settings.plugins_block,
            check_skills=True,
            tables=plugin_tables(),
        )
    finally:
        logger.removeHandler(handler)


def _print(records: tuple[PluginRecord, ...], stdout: TextIO) -> None:
    """Print a table, or paragraphs if it does not fit: users copy tool names, so names are never truncated."""
    from rich.console import Console  # noqa: PLC0415 - not needed for JSON
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table("Plugin", "Distribution", "State", "Tools and skills", box=None, pad_edge=False)
    for record in records:
        state = Text(record.state, style=STYLES[record.state])
        what = Text(record.error, style="red") if record.error else Text("\n".join(_contents(record)))
        what.append("".join(f"\n{each}" for each in record.broken_skills), style="red")
        table.add_row(Text(record.name), Text(f"{record.distribution} {record.version}"), state, what)
    console = Console(file=stdout, highlight=False)
    if not console.is_terminal:
        console.width = UNLIMITED_COLUMNS
    unlimited = console.options.update_width(UNLIMITED_COLUMNS)
    if console.measure(table, options=unlimited).maximum <= console.width:
        console.print(table)
        return
    for record in records:
        print_text(f"{record.name}: {record.state}, {record.distribution} {record.version}", indent="  ", to=stdout)
        print_text(f"  {record.error or ', '.join(_contents(record))}", to=stdout)
        for each in record.broken_skills:
            print_text(f"  {each}", to=stdout)


def _contents(record: PluginRecord) -> list[str]:
    """The plugin's tools and skills."""
    return [*record.tools, *(f"skill {name}" for name in record.skills)]
