"""``maas-mcp simulate``: a MAAS region without hardware, for trying things out."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maas_mcp.cli.common import EXIT_CODES, NumberRange

if TYPE_CHECKING:
    from maas_mcp.simulator import Region

SPEED = 60.0
"""Simulated seconds in a real second, unless asked otherwise."""
STEPS = """\
Set the two variables below in another shell (export MAAS_URL=… MAAS_API_KEY=…), then:
  maas-mcp call maas_list_machines"""


@click.command("simulate", epilog=EXIT_CODES)
@click.option(
    "--world",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The world to simulate: YAML, or Python with a function region(). By default the twelve machines.",
)
@click.option(
    "--machines",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="N machines that are Ready, node0001 and so on, spread over zones, pools and tags. By default the twelve.",
)
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
    type=NumberRange(min=0, min_open=True, max=10_000),
    help=f"Simulated seconds in a real second: at 60 a deployment takes 10 s. By default {SPEED:g}, or what the world "
    "says.",
)
@click.option(
    "--clock",
    type=click.Choice(["running", "manual"]),
    default="running",
    show_default=True,
    help="Whether time passes by itself, or only when the control is told so.",
)
@click.option(
    "--fail",
    "failures",
    multiple=True,
    metavar="HOST=STAGE",
    help="Let the next operation of a machine fail at a stage, such as 'node05=Installing OS'. May be given often.",
)
def command(
    *,
    world: Path | None,
    machines: int | None,
    port: int,
    control_port: int | None,
    speed: float | None,
    clock: str,
    failures: tuple[str, ...],
) -> None:
    """Run a simulated MAAS region.

    It has twelve machines, node01 to node12, in most of the statuses there are, unless --world or --machines says
    otherwise, and forgets everything when it ends, which is on Ctrl-C or SIGTERM. Prints two lines to stdout,
    MAAS_URL=… and MAAS_API_KEY=…, to set where maas-mcp is to use it; with --control-port a third one, CONTROL_URL=…,
    at which things can be made to go wrong.
    """
    if clock == "manual" and control_port is None:
        raise click.UsageError("--clock manual goes with --control-port only: nothing else could move the clock.")
    if clock == "manual" and speed is not None:
        raise click.UsageError("--speed goes with a running clock, not with --clock manual.")
    if world is not None and machines is not None:
        raise click.UsageError("--machines goes without --world: a world says itself what machines it has.")
    from maas_mcp.simulator import run  # noqa: PLC0415 - half a second that --help need not take

    region = _region(world, machines, 0.0 if clock == "manual" else speed)
    for failure in failures:
        _plan(region, failure)
    pace = region.schedule.speed
    how = f"{pace:g} times as fast as real ones" if pace else "whose clock stands still"
    size = "twelve machines" if world is None and machines is None else f"{_counted(len(region.machines))}"
    click.echo(f"A simulated MAAS region with {size}, {how}. Ctrl-C ends it.\n{STEPS}", err=True)
    try:
        run(region, port=port, control_port=control_port)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        raise click.ClickException(f"{error.filename} cannot be used: {reason}.") from None


def _region(world: Path | None, machines: int | None, speed: float | None) -> "Region":
    from maas_mcp.simulator import (  # noqa: PLC0415 - as above
        WorldFileError,
        demo_region,
        generated_region,
        read_world,
    )

    if world is not None:
        try:
            return read_world(world, speed=speed)
        except WorldFileError as error:
            raise click.ClickException(str(error)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise click.ClickException(f"{world} cannot be read: {error}") from None
    pace = SPEED if speed is None else speed
    return demo_region(speed=pace) if machines is None else generated_region(machines, speed=pace)


def _counted(machines: int) -> str:
    return "one machine" if machines == 1 else f"{machines:,} machines"


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
