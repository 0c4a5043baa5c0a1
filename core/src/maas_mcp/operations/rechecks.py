"""Whether a machine is still as it was first read: checked again where the request for it had to wait."""

from maas_mcp.errors import MaasError, OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import UNKNOWN_OWNER, Machine
from maas_mcp.operations.next_steps import read_machine
from maas_mcp.operations.wording import named, state_of


async def read_unchanged(maas: MaasClient, before: Machine) -> Machine:
    """The machine as it is now, after a wait between its first read and the request for it.

    Raises:
        OperationRefusedError: Its status, its owner or its lock has changed, or it cannot be read.
    """
    try:
        now = await maas.machine(before.system_id)
    except MaasError as error:
        raise _refused(before, f"the machine cannot be read again. {error.message}") from None
    check_same(before, now)
    return now


def check_same(before: Machine, now: Machine) -> None:
    """Make sure that the machine is as it was.

    Raises:
        OperationRefusedError: Its status, its owner or its lock has changed, or its owner cannot be read.
    """
    same = (now.status, now.owner, now.locked) == (before.status, before.owner, before.locked)
    if not same or now.owner == UNKNOWN_OWNER:
        locked = " and locked" if now.locked else ""
        raise _refused(before, f"the machine was {state_of(before)} before, and is {state_of(now)}{locked} now.")


async def check_untouched(maas: MaasClient, before: Machine, cursor: int) -> None:
    """Make sure that nothing has happened to the machine since ``cursor``, the newest event at its first read.

    Raises:
        OperationRefusedError: It is not as it was, or came back to what it was.
        MaasError: MAAS cannot be asked.
    """
    await read_unchanged(maas, before)
    if any(event.status_change for event in await maas.events(after=cursor, ids=[before.system_id])):
        raise _refused(before, f"the machine is {state_of(before)} as before, but was something else meanwhile.")


def _refused(machine: Machine, why: str) -> OperationRefusedError:
    return OperationRefusedError(
        f"The request for {named(machine)} had to wait, and was not sent to MAAS: {why}",
        next_steps=[read_machine(machine.system_id, "Read the machine before you request anything else of it")],
    )
