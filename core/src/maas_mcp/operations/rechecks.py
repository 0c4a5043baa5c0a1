"""Checks that a machine has not changed while the request for it waited."""

from maas_mcp.errors import MaasError, OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import UNKNOWN_OWNER, Machine
from maas_mcp.operations.next_steps import read_machine
from maas_mcp.operations.wording import named, state_of


async def read_unchanged(maas: MaasClient, before: Machine) -> Machine:
    """Read a machine again after a wait, and check that it has not changed.

    Raises:
        OperationRefusedError: The machine's status, owner or lock changed, or it cannot be read.
    """
    try:
        now = await maas.machine(before.system_id)
    except MaasError as error:
        raise _refused(before, f"the machine cannot be read again. {error.message}") from None
    check_same(before, now)
    return now


def check_same(before: Machine, now: Machine) -> None:
    """Check that a machine has not changed between two reads.

    Raises:
        OperationRefusedError: The machine's status, owner or lock changed, or its owner cannot be read.
    """
    same = (now.status, now.owner, now.locked) == (before.status, before.owner, before.locked)
    if not same or now.owner == UNKNOWN_OWNER:
        locked = " and locked" if now.locked else ""
        raise _refused(before, f"the machine was {state_of(before)} and is now {state_of(now)}{locked}.")


async def check_untouched(maas: MaasClient, before: Machine, cursor: int) -> None:
    """Check that the machine has not changed since ``cursor``, the newest event at its first read.

    Raises:
        OperationRefusedError: The machine changed, even if it has changed back.
        MaasError: MAAS did not respond.
    """
    await read_unchanged(maas, before)
    if any(event.status_change for event in await maas.events(after=cursor, ids=[before.system_id])):
        raise _refused(before, f"the machine is {state_of(before)} again, but its status changed in between.")


def _refused(machine: Machine, why: str) -> OperationRefusedError:
    return OperationRefusedError(
        f"The request for {named(machine)} had to wait, and was not sent to MAAS: {why}",
        next_steps=[read_machine(machine.system_id, "Read the machine before you send another request for it")],
    )
