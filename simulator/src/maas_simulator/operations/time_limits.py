"""MAAS 3.7's time limits for machines that do not report, and the failures that follow."""

from collections.abc import Callable
from typing import Final

from maas_simulator.model.config import NODE_TIMEOUT
from maas_simulator.model.runs import Run
from maas_simulator.model.statuses import Status
from maas_simulator.operations.deploying import timed_out
from maas_simulator.operations.lifecycles import gives_up
from maas_simulator.operations.releasing import POWER_OFF_FAILURE, stays_in_rescue

DEPLOYS_FOR: Final = 2 * NODE_TIMEOUT * 60
"""Seconds that a deployment may take in total."""
SILENT_FOR: Final = NODE_TIMEOUT * 60
"""Seconds until the first report, and between two reports."""
POWERS_OFF_FOR: Final = 5 * 60
"""Seconds that a machine has to power off when it is released or leaves rescue mode."""

NOT_HEARD: Final = f"Node has not been heard from for the last {NODE_TIMEOUT} minutes"
TOO_LONG: Final = f"Node operation '{{}}' timed out after {NODE_TIMEOUT} minutes."

Fails = Callable[[Run, str | None], None]


def time_limit(run: Run) -> tuple[float, Fails] | None:
    """When MAAS fails a silent machine, in epoch seconds, and how; None if there is no limit, as for an erase."""
    status = run.machine.status
    match status:
        case Status.DEPLOYING if run.timed:
            return run.began + DEPLOYS_FOR, timed_out
        case Status.COMMISSIONING | Status.TESTING if run.heard is not None:
            return run.heard + SILENT_FOR, gives_up(NOT_HEARD)
        case Status.COMMISSIONING | Status.TESTING | Status.ENTERING_RESCUE_MODE:
            return run.began + SILENT_FOR, gives_up(TOO_LONG.format(status.display))
        case Status.RELEASING if run.stage is not None and run.stage.powers_off:
            return run.entered + POWERS_OFF_FOR, gives_up(POWER_OFF_FAILURE)
        case Status.EXITING_RESCUE_MODE:
            return run.began + POWERS_OFF_FOR, stays_in_rescue
    return None
