"""``maas-mcp simulate``: a MAAS region without hardware, for trying things out."""

import os
from typing import TYPE_CHECKING

import click

from maas_mcp.cli.common import EXIT_CODES

if TYPE_CHECKING:
    from maas_mcp.simulator import Region

SPEED = 60.0
"""Simulated seconds in a real second, unless asked otherwise."""
STEPS = """\
Set the two variables below in another shell (export MAAS_URL=… MAAS_API_KEY=…), then:
  maas-mcp call maas_list_machines"""


@click.command("simulate", epilog=EXIT_CODES)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="TCP port of 127.0.0.1 to listen on; 0 takes a free one.",
)
@click.option(
    "--control-port",
    type=click.IntRange(0, 65535),
    help="Also let the region be controlled over HTTP, on this TCP port of 127.0.0.1; 0 takes a free one. By default "
    "it cannot be.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True, max=10_000),
    default=SPEED,
    show_default=True,
    help="Simulated seconds in a real second: at 60 a deployment takes 10 s.",
)
@click.option(
    "--clock",
    type=click.Choice(["running", "manual"]),
    default="running",
    show_default=True,
    help="Whether time passes at --speed, or only when the control is told so.",
)
@click.option(
    "--fail",
    "failures",
    multiple=True,
    metavar="HOST=STAGE",
    help="Let the next operation of a machine fail at a stage, such as 'node05=Installing OS'. May be given often.",
)
def command(*, port: int, control_port: int | None, speed: float, clock: str, failures: tuple[str, ...]) -> None:
    """Run a simulated MAAS region.

    It has twelve machines, node01 to node12, in most of the statuses there are, and forgets everything when it ends,
    which is on Ctrl-C or SIGTERM. Prints two lines to stdout, MAAS_URL=… and MAAS_API_KEY=…, to set where maas-mcp is
    to use it; with --control-port a third one, CONTROL_URL=…, at which things can be made to go wrong.
    """
    if clock == "manual" and control_port is None:
        raise click.UsageError("--clock manual goes with --control-port only: nothing else could move the clock.")
    from maas_mcp.simulator import demo_region, run  # noqa: PLC0415 - half a second that --help need not take

    region = demo_region(speed=0.0 if clock == "manual" else speed)
    for failure in failures:
        _plan(region, failure)
    pace = "whose clock stands still" if clock == "manual" else f"{speed:g} times as fast as real ones"
    click.echo(f"A simulated MAAS region with twelve machines, {pace}. Ctrl-C ends it.\n{STEPS}", err=True)
    try:
        run(region, port=port, control_port=control_port)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        raise click.ClickException(f"{error.filename} cannot be used: {reason}.") from None


def _plan(region: "Region", failure: str) -> None:
    host, equals, stage = failure.partition("=")
    if not equals:
        raise click.BadParameter(f"{failure!r} is not of the form HOST=STAGE.", param_hint="--fail")
    try:
        region.plan(host, fail=stage)
    except KeyError as error:
        raise click.BadParameter(f"{error.args[0]}.", param_hint="--fail") from None
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--fail") from None
