"""A request that changes a machine waits for its turn, and the machine is checked again before it is sent."""

from typing import Final

from maas_mcp.errors import MaasError, OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import MAX_CHANGES
from maas_mcp.maas.models import Machine
from maas_mcp.operations.wording import named, state_of

WAITING: Final = f"Not sent yet: MAAS is sent {MAX_CHANGES} requests at a time"


async def check_unchanged(maas: MaasClient, before: Machine) -> Machine:
    """Make sure that the machine is still as it was when the request was checked, and return it as it is now.

    Raises:
        OperationRefusedError: Its status, its owner or its lock has changed, or it cannot be read.
    """
    waited = f"The request for {named(before)} waited for its turn, and was not sent to MAAS"
    try:
        now = await maas.machine(before.system_id)
    except MaasError as error:
        raise OperationRefusedError(f"{waited}: the machine cannot be read again. {error.message}") from None
    if (now.status, now.owner, now.locked) != (before.status, before.owner, before.locked):
        locked = " and locked" if now.locked else ""
        raise OperationRefusedError(
            f"{waited}: the machine was {state_of(before)} before, and is {state_of(now)}{locked} now.",
            hint="Read the machine with maas_get_machine before you request anything else of it.",
        )
    return now
