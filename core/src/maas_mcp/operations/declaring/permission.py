"""Whose a machine is, as against the caller, and why MAAS does not allow the caller to change it."""

from maas_mcp.errors import MaasError, MaasPermissionError, OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine, User
from maas_mcp.maas.permissions import ADMIN_ONLY, ALLOWED_WHEN_LOCKED, OWNER_ONLY
from maas_mcp.operations.judging.advice import Advice
from maas_mcp.operations.next_steps import unlock
from maas_mcp.operations.wording import named


async def another_owner(maas: MaasClient, machine: Machine) -> str | None:
    """The machine's owner, if that is a user other than the caller.

    Raises:
        MaasError: MAAS cannot be asked who the caller is.
    """
    if machine.owner is None or machine.owner == (await maas.whoami()).username:
        return None
    return machine.owner


async def check_take_over(maas: MaasClient, machine: Machine, *, confirmed: bool, effect: str) -> None:
    """Make sure that nobody loses a machine unnoticed, before a request that changes its owner.

    Args:
        maas: The region.
        machine: The machine as it was just read.
        confirmed: The tool's argument ``take_over``.
        effect: How the request changes the owner: ``Rescue mode would make it yours``.

    Raises:
        OperationRefusedError: It is somebody else's, and that was not confirmed.
        MaasError: MAAS cannot be asked who the caller is.
    """
    owner = None if confirmed else await another_owner(maas, machine)
    if owner is not None:
        raise OperationRefusedError(
            f"{named(machine)} belongs to {owner}. {effect}. Nothing was sent to MAAS.",
            hint=f"Ask {owner} first. To take it over anyway, call again with take_over: true.",
        )


async def explain_refusal(maas: MaasClient, machine: Machine, error: MaasPermissionError) -> None:
    """Put into ``error`` why MAAS refused a change of ``machine``, as far as its state and the caller show it.

    The machine is read again, because it may have been locked or allocated since it was last read. If MAAS gave a
    reason, or cannot be asked, the hint stays as it is.
    """
    if error.maas_says:
        return
    try:
        user = await maas.whoami()
        advice = _why(user, await maas.machine(machine.system_id), error.op)
        error.hint, error.next_steps = advice.hint, advice.next_steps
    except MaasPermissionError as unseen:  # by now it is somebody else's, and so not to be seen
        error.hint = unseen.hint
    except MaasError:
        return


def _why(user: User, machine: Machine, op: str | None) -> Advice:
    who = named(machine)
    owner = f"{machine.owner}'s" if machine.owner else "nobody's"
    mine = machine.owner == user.username
    if op in OWNER_ONLY and not mine:
        allocate = "" if machine.owner else ": allocate it first"
        return Advice(
            f"Only a machine's owner may request {op}, not even an administrator, and {machine.hostname} is "
            f"{owner}{allocate}."
        )
    if op in ADMIN_ONLY and not user.is_superuser:
        return Advice(
            f"MAAS allows {op} to administrators only, and {user.username} is not one. Ask an administrator to do it."
        )
    if machine.owner and not mine and not user.is_superuser:
        return Advice(f"{who} belongs to {machine.owner}. Only {machine.owner} and administrators may change it.")
    if machine.locked and op not in ALLOWED_WHEN_LOCKED:
        return Advice(f"{who} is locked, on purpose.", (unlock(machine.system_id),))
    kind = "an administrator" if user.is_superuser else "not an administrator"
    return Advice(
        f"MAAS gives no reason: {who} is {owner} and not locked, and {user.username} is {kind}. Where permissions are "
        f"given by resource pool, {user.username} may lack one in the pool {machine.pool or 'of the machine'}."
    )
