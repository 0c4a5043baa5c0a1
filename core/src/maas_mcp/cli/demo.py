"""``maas-mcp demo``: the demonstration on a simulated region, or one deployment on a real region."""

import sys
from pathlib import Path

import click

from maas_mcp.cli.common import EXIT_CODES, NumberRange, require_simulator
from maas_mcp.cli.interrupt import run

SPEED = 60.0
"""Simulated seconds per real second by default. The demonstration then takes about 25 s."""


@click.command("demo", epilog=EXIT_CODES)
@click.option(
    "--speed",
    type=NumberRange(1, 120),
    help=f"Simulated seconds per real second. By default {SPEED:g}: the demonstration takes about 25 s.",
)
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Also save the output to FILE as an SVG image, 100 columns wide. By default no image is saved.",
)
@click.option(
    "--real",
    metavar="SYSTEM_ID",
    help="Instead deploy this machine of the region at MAAS_URL, which overwrites its disks. Asks you to type its "
    "hostname first.",
)
@click.option("--yes", is_flag=True, help="With --real: deploy without asking.")
def command(*, speed: float | None, svg: Path | None, real: str | None, yes: bool) -> None:
    """Demonstrate maas-mcp on a simulated MAAS region.

    Starts a simulated region and the real MCP server, and calls its tools as an assistant does. It lists the machines,
    deploys two at once, cancels a third deployment halfway, and lets a fourth fail. Needs no MAAS region, and contacts
    none even if MAAS_URL is set. Exits with 1 if a result is unexpected.
    """
    if real is None:
        if yes:
            raise click.UsageError("--yes requires --real SYSTEM_ID.")
        _check_folder(svg)
        with require_simulator("demo"):
            from maas_mcp.cli.demonstration import run_demonstration  # noqa: PLC0415 - a second of imports that --help does not need

        sys.exit(run(lambda: run_demonstration(speed=speed or SPEED, svg=svg)))
    if speed is not None or svg is not None:
        raise click.UsageError("--speed and --svg cannot be combined with --real.")
    from maas_mcp.cli.real import deploy  # noqa: PLC0415 - as above

    sys.exit(deploy(real, confirmed=yes))


def _check_folder(svg: Path | None) -> None:
    """Reject a missing folder now, rather than after half a minute."""
    if svg is not None and not svg.absolute().parent.is_dir():
        raise click.BadParameter(f"the folder {svg.parent} does not exist. Create it first.", param_hint="'--svg'")
