"""``maas-mcp simulate``: a MAAS region without hardware, for trying things out."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maas_mcp.cli.common import EXIT_CODES, NumberRange, say

if TYPE_CHECKING:
    from maas_simulator import SimulatedRegion

SPEED = 60.0
"""Simulated seconds in a real second, unless asked otherwise."""
STEPS = """\
In another shell, export the two variables below, then try:
  maas-mcp call maas_list_machines"""


@click.command("simulate", epilog=EXIT_CODES)
@click.option(
    "--world",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="World file to simulate: YAML, or Python with a function region(). By default the twelve machines.",
)
@click.option(
    "--machines",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Simulate N Ready machines, node0001 and so on, spread over zones, pools and tags. By default the twelve.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="TCP port on 127.0.0.1; 0 picks a free port, which is printed.",
)
@click.option(
    "--control-port",
    type=click.IntRange(0, 65535),
    help="TCP port on 127.0.0.1 for controlling the region over HTTP; 0 picks a free port. By default there is none.",
)
@click.option(
    "--speed",
    type=NumberRange(min=0, min_open=True, max=10_000),
    help=f"Simulated seconds per real second: at 60, a deployment takes 10 s. By default {SPEED:g}, or the speed in "
    "the world file.",
)
@click.option(
    "--clock",
    type=click.Choice(["running", "manual"]),
    default="running",
    show_default=True,
    help="Whether time passes by itself, or only on requests to the control port.",
)
@click.option(
    "--fail",
    "failures",
    multiple=True,
    metavar="HOST=STAGE",
    help="Make a machine's next operation fail at a stage, such as 'node05=Installing OS'. Can be repeated.",
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

    By default it has twelve machines, node01 to node12, in different statuses. It keeps its state in memory, and
    stops on Ctrl-C or SIGTERM.

    Prints MAAS_URL=… and MAAS_API_KEY=… to stdout: set both where maas-mcp runs. With --control-port it also prints
    CONTROL_URL=…, the address for injecting faults and moving the clock.
    """
    if clock == "manual" and control_port is None:
        raise click.UsageError("--clock manual requires --control-port: only the control can move the clock.")
    if clock == "manual" and speed is not None:
        raise click.UsageError("--speed cannot be combined with --clock manual.")
    if world is not None and machines is not None:
        raise click.UsageError("--machines cannot be combined with --world: the world file defines the machines.")
    from maas_simulator import run  # noqa: PLC0415 - half a second that --help need not take

    region = _region(world, machines, 0.0 if clock == "manual" else speed)
    for failure in failures:
        _plan(region, failure)
    pace = region.schedule.speed
    how = f"{pace:g} times as fast as a real one" if pace else "with its clock stopped"
    size = "twelve machines" if world is None and machines is None else f"{_counted(len(region.machines))}"

    def announce(lines: str) -> None:
        say(f"Simulating a MAAS region with {size}, {how}. Press Ctrl-C to stop.\n{STEPS}", err=True)
        click.echo(lines, nl=False)

    try:
        run(region, port=port, control_port=control_port, announce=announce)
    except OSError as error:
        if error.filename is None:  # it is about no port: nobody reads what is printed
            raise
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        raise click.ClickException(f"{error.filename} cannot be used: {reason}.") from None


def _region(world: Path | None, machines: int | None, speed: float | None) -> "SimulatedRegion":
    from maas_simulator import (  # noqa: PLC0415 - as above
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


def _plan(region: "SimulatedRegion", failure: str) -> None:
    host, equals, stage = failure.partition("=")
    if not equals:
        raise click.BadParameter(f"{failure!r} is not of the form HOST=STAGE.", param_hint="'--fail'")
    try:
        region.plan(host, fail=stage)
    except KeyError as error:
        raise click.BadParameter(f"{error.args[0]}.", param_hint="'--fail'") from None
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="'--fail'") from None
