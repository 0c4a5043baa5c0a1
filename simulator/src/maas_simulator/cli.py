"""The ``maas-simulator`` command, and the options and function for programs that offer the same command."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from maas_simulator.region import SimulatedRegion
from maas_simulator.run import run
from maas_simulator.worlds.files import WorldFileError, read_world
from maas_simulator.worlds.ready_made import demo_region, generated_region

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

SPEED: Final = 60.0
"""The default number of simulated seconds per real second."""

HELP: Final = """Run a simulated MAAS region.

By default it has twelve machines, node01 to node12, in different statuses. It keeps its state in memory, and stops on
Ctrl-C or SIGTERM.

Prints MAAS_URL=URL and MAAS_API_KEY=KEY to stdout: set both where the MAAS client runs. With --control-port it also
prints CONTROL_URL=URL, the address for injecting faults and moving the clock.
"""


class _Speed(click.FloatRange):
    """A range of speeds that rejects NaN, which ``click.FloatRange`` would accept."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


_OPTIONS: Final = (
    click.option(
        "--world",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="World file to simulate: YAML, or Python with a function region(). By default the twelve machines.",
    ),
    click.option(
        "--machines",
        type=click.IntRange(1, 1_000_000),
        metavar="N",
        help="Simulate N Ready machines, node0001 and so on, spread over zones, pools and tags. By default the twelve.",
    ),
    click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=0,
        show_default=True,
        help="TCP port on 127.0.0.1; 0 picks a free port, which is printed.",
    ),
    click.option(
        "--control-port",
        type=click.IntRange(0, 65535),
        help="TCP port on 127.0.0.1 for controlling the region over HTTP; 0 picks a free port. By default there is "
        "none.",
    ),
    click.option(
        "--speed",
        type=_Speed(min=0, min_open=True, max=10_000),
        help=f"Simulated seconds per real second: at 60, a deployment takes 10 s. By default {SPEED:g}, or the speed "
        "in the world file.",
    ),
    click.option(
        "--clock",
        type=click.Choice(["running", "manual"]),
        default="running",
        show_default=True,
        help="Whether time passes by itself, or only on requests to the control port.",
    ),
    click.option(
        "--fail",
        "failures",
        multiple=True,
        metavar="HOST=STAGE",
        help="Make a machine's next operation fail at a stage, such as 'node05=Installing OS'. Can be repeated.",
    ),
)


def simulator_options(command: CommandT) -> CommandT:
    """Add the options of :func:`simulate` to a click command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def simulate(
    *,
    example: str,
    world: Path | None,
    machines: int | None,
    port: int,
    control_port: int | None,
    speed: float | None,
    clock: str,
    failures: tuple[str, ...],
) -> None:
    """Serve a region until Ctrl-C or SIGTERM.

    ``example`` is a command for the user to try, printed with the URL.

    Raises:
        click.ClickException: Options conflict or have a bad value, or a port is taken.
    """
    if clock == "manual" and control_port is None:
        raise click.UsageError("--clock manual requires --control-port: only the control can move the clock.")
    if clock == "manual" and speed is not None:
        raise click.UsageError("--speed cannot be combined with --clock manual.")
    if world is not None and machines is not None:
        raise click.UsageError("--machines cannot be combined with --world: the world file defines the machines.")
    region = _build_region(world, machines, 0.0 if clock == "manual" else speed)
    for failure in failures:
        _plan(region, failure)
    welcome = _welcome(region, example, default=world is None and machines is None)

    def announce(lines: str) -> None:
        click.echo(welcome, err=True)
        click.echo(lines, nl=False)

    try:
        run(region, port=port, control_port=control_port, announce=announce)
    except OSError as error:
        if error.filename is None:  # The error is not about a port: the reader of stdout has gone.
            raise
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        raise click.ClickException(f"{error.filename} cannot be used: {reason}.") from None


def _welcome(region: SimulatedRegion, example: str, *, default: bool) -> str:
    pace = region.schedule.speed
    how = f"{pace:g} times as fast as a real one" if pace else "with its clock stopped"
    count = len(region.machines)
    size = "twelve machines" if default else "one machine" if count == 1 else f"{count:,} machines"
    return (
        f"Simulating a MAAS region with {size}, {how}. Press Ctrl-C to stop.\n"
        f"In another shell, export the two variables below, then try:\n  {example}"
    )


def _build_region(world: Path | None, machines: int | None, speed: float | None) -> SimulatedRegion:
    if world is not None:
        try:
            return read_world(world, speed=speed)
        except WorldFileError as error:
            raise click.ClickException(str(error)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise click.ClickException(f"{world} cannot be read: {error}") from None
    pace = SPEED if speed is None else speed
    return demo_region(speed=pace) if machines is None else generated_region(machines, speed=pace)


def _plan(region: SimulatedRegion, failure: str) -> None:
    host, equals, stage = failure.partition("=")
    if not equals:
        raise click.BadParameter(f"{failure!r} is not of the form HOST=STAGE.", param_hint="'--fail'")
    try:
        region.plan(host, fail=stage)
    except (KeyError, ValueError) as error:
        raise click.BadParameter(f"{error.args[0]}.", param_hint="'--fail'") from None


@click.command(
    "maas-simulator",
    help=HELP,
    epilog="Exit codes: 0 success; 1 failure; 2 wrong usage.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="maas-simulator", prog_name="maas-simulator")
@simulator_options
def main(**options: Any) -> None:
    """Run ``maas-simulator``."""
    simulate(example="curl $MAAS_URL/api/2.0/version/", **options)
