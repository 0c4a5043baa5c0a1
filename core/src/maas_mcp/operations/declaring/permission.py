"""Ownership of machines, and why MAAS does not allow the caller to change one."""

from maas_mcp.errors import MaasError, MaasPermissionError, OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine, User
from maas_mcp.maas.permissions import ADMIN_ONLY, ALLOWED_WHEN_LOCKED, OWNER_ONLY
from maas_mcp.operations.judging.advice import Advice
from maas_mcp.operations.next_steps import unlock
from maas_mcp.operations.wording import named


async def another_owner(maas: MaasClient, machine: Machine) -> str | None:
    """Return the machine's owner if it is another user than the caller.

    Raises:
        MaasError: MAAS did not report who the caller is.
    """
    if machine.owner is None or machine.owner == (await maas.whoami()).username:
        return None
    return machine.owner


async def check_take_over(maas: MaasClient, machine: Machine, *, confirmed: bool, effect: str) -> None:
    """Require confirmation before a request takes a machine from another user.

    Args:
        maas: The region.
        machine: The machine as it was just read.
        confirmed: The tool's argument ``take_over``.
        effect: How the request changes the owner: ``Rescue mode would make it yours``.

    Raises:
        OperationRefusedError: The machine belongs to another user, and ``confirmed`` is false.
        MaasError: MAAS did not report who the caller is.
    """
    owner = None if confirmed else await another_owner(maas, machine)
    if owner is not None:
        raise OperationRefusedError(
            f"{named(machine)} belongs to {owner}. {effect}. Nothing was sent to MAAS.",
            hint=f"Ask {owner} first. To take it over anyway, call again with take_over: true.",
        )


async def explain_refusal(maas: MaasClient, machine: Machine | None, error: MaasPermissionError) -> None:
    """Add to ``error`` why MAAS refused to change ``machine``, as far as the machine and the caller show it.

    Without a machine, as for a tag, only the caller shows it. The machine is read again, because another user may have
    locked or allocated it since the last read. The hint stays unchanged if MAAS gave a reason or does not respond.
    """
    if machine is not None and error.maas_says:
        return
    try:
        user = await maas.whoami()
        if machine is None:
            if not user.is_superuser:
                error.hint = f"{user.username} is not an administrator. Ask an administrator to do it."
            return
        advice = _explain(user, await maas.machine(machine.system_id), error.op)
        error.hint, error.next_steps = advice.hint, advice.next_steps
    except MaasPermissionError as hidden:  # the machine now belongs to another user and is hidden
        error.hint = hidden.hint
    except MaasError:
        return


def _explain(user: User, machine: Machine, op: str | None) -> Advice:
    name = named(machine)
    owner = f"belongs to {machine.owner}" if machine.owner else "has no owner"
    owns = machine.owner == user.username
    if op in OWNER_ONLY and not owns:
        allocate = "" if machine.owner else ". Allocate it first"
        return Advice(
            f"Only a machine's owner may request {op}, not even an administrator. {machine.hostname} {owner}{allocate}."
        )
    if op in ADMIN_ONLY and not user.is_superuser:
        return Advice(
            f"Only administrators may request {op}, and {user.username} is not one. Ask an administrator to do it."
        )
    if machine.owner and not owns and not user.is_superuser:
        return Advice(f"{name} belongs to {machine.owner}. Only {machine.owner} and administrators may change it.")
    if machine.locked and op not in ALLOWED_WHEN_LOCKED:
        return Advice(f"{name} is locked, which protects it from changes.", (unlock(machine.system_id),))
    kind = "an administrator" if user.is_superuser else "not an administrator"
    return Advice(
        f"MAAS gives no reason: {name} {owner} and is not locked, and {user.username} is {kind}. If permissions depend "
        f"on the resource pool, {user.username} may lack one for the pool {machine.pool or 'of the machine'}."
    )
