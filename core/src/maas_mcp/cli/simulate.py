"""``maas-mcp simulate``: the simulator's own command, with an example for users of maas-mcp."""

from typing import Any

import click

from maas_mcp.cli.common import EXIT_CODES, require_simulator

with require_simulator("simulate"):
    from maas_simulator.cli import HELP, simulate, simulator_options


@click.command("simulate", help=HELP, epilog=EXIT_CODES)
@simulator_options
def command(**options: Any) -> None:
    """``maas-mcp simulate``."""
    simulate(example="maas-mcp call maas_list_machines", **options)
