"""Changes that MAAS makes while it answers: look first, post once, and believe only what is read back."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

import anyio

from maas_mcp.errors import (
    MaasConflictError,
    MaasError,
    MaasPermissionError,
    MaasProtocolError,
    OperationFailedError,
    OperationRefusedError,
    OperationTimedOutError,
)
from maas_mcp.maas.client import FormValue
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.declaring.permission import explain_refusal
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.judging.advice import about_lock, before_start
from maas_mcp.operations.next_steps import read_machine
from maas_mcp.operations.progress import readable
from maas_mcp.operations.rechecks import check_same
from maas_mcp.operations.wording import WAITING, named, state_of


async def require_status(
    ctx: ToolContext,
    system_id: SystemId,
    statuses: Collection[MachineStatus] | None = None,
    *,
    to: str,
    unless: Callable[[Machine], bool] | None = None,
) -> Machine:
    """Read a machine that is about to be changed.

    Args:
        ctx: The tool's services.
        system_id: The machine.
        statuses: Where the change is possible; ``None`` for everywhere.
        to: What is wanted, for the refusal: ``be aborted``.
        unless: Whether the machine already is as wanted. Then there is nothing to refuse.

    Raises:
        OperationRefusedError: The machine is locked, or has another status; it says what to do.
    """
    machine = await ctx.maas.machine(system_id)
    if unless is not None and unless(machine):
        return machine
    who = f"{machine.hostname} ({machine.system_id})"
    if machine.locked:
        advice = about_lock(machine, await _caller(ctx, machine))
        raise OperationRefusedError(
            f"{who} {machine.why_locked}, so it cannot {to}. Nothing was sent to MAAS.",
            hint=advice.hint,
            next_steps=advice.next_steps,
        )
    if statuses is not None and machine.status not in statuses:
        wanted = ", ".join(status.display for status in sorted(statuses))
        advice = before_start(machine, await _caller(ctx, machine))
        raise OperationRefusedError(
            f"{who} is {machine.status_name}; to {to} it has to be one of: {wanted}. Nothing was sent to MAAS.",
            hint=advice.hint,
            next_steps=advice.next_steps,
        )
    return machine


async def _caller(ctx: ToolContext, machine: Machine) -> str | None:
    """The caller's name, where advice depends on it: a machine without an owner is nobody else's."""
    try:
        return None if machine.owner is None else (await ctx.maas.whoami()).username
    except MaasError:
        return None


async def change_machine(
    ctx: ToolContext,
    machine: Machine,
    op: str,
    changed: Callable[[Machine], bool],
    *,
    within: float | None = None,
    check: Callable[[ToolContext], Awaitable[Machine]] | None = None,
    **form: FormValue,
) -> Machine:
    """Post an operation once, and read the machine until it shows. Where ``machine`` shows it already, nothing is sent.

    A request may wait for minutes until MAAS takes it: then the machine is read again before it is sent. The machine
    may change between its last read and the request, too. MAAS then refuses the request, and the machine is read again.
    If it is as wanted by then, somebody else was faster, and that is no error.

    Args:
        ctx: The tool's services.
        machine: The machine as it was just read.
        op: MAAS's name of the operation.
        changed: Whether a read shows the change.
        within: Seconds that it may take; by default what ``ctx.timing`` says.
        check: Checks and returns the machine again after a wait; by default it is only read. In any case its status,
            its owner and its lock have to be as before.
        form: The operation's parameters.

    Returns:
        The machine as it is then; ``machine`` itself, or what ``check`` returned, if nothing was sent.

    Raises:
        OperationRefusedError: It has changed while the request waited; nothing was sent.
        OperationFailedError: MAAS cannot do it with this machine: it answered ``null``.
        OperationTimedOutError: MAAS accepted it, but nothing shows it.
        MaasPermissionError: MAAS does not allow it; the hint says why.
        MaasError: MAAS refused it, or failed. Where it may have acted all the same, that was looked up.
    """
    ctx.cancellation.raise_if_cancelled()
    if changed(machine):
        return machine
    read_at = anyio.current_time()
    async with ctx.maas.turn(op, lambda: ctx.progress.report(None, WAITING)) as maas:
        if anyio.current_time() > read_at + ctx.timing.stale:
            before, machine = (
                machine,
                await (check(replace(ctx, maas=maas)) if check else maas.machine(machine.system_id)),
            )
            if changed(machine):
                return machine
            check_same(before, machine)
        try:
            answer, ambiguous_error = await maas.post_op(f"machines/{machine.system_id}/", op, **form), None
        except MaasError as error:
            answer, ambiguous_error = None, error
    if ambiguous_error is None and answer is None:
        raise OperationFailedError(
            f"MAAS did nothing: it cannot do {op} with {named(machine)} (power type: {machine.power_type or 'none'}).",
            hint="Do it at the machine itself, or configure its power in MAAS.",
        )
    if ambiguous_error is not None and not ambiguous_error.may_have_acted:
        return await _after_refusal(ctx, machine, changed, ambiguous_error)
    return await _read_back(
        ctx,
        machine,
        changed,
        op=op,
        within=ctx.timing.settling if within is None else within,
        ambiguous_error=ambiguous_error,
    )


async def _read_back(
    ctx: ToolContext,
    machine: Machine,
    changed: Callable[[Machine], bool],
    *,
    op: str,
    within: float,
    ambiguous_error: MaasError | None,
) -> Machine:
    """The machine, once it shows the change. After an error of MAAS's own it shows at once, or never.

    Raises:
        OperationTimedOutError: It does not show.
        MaasError: ``ambiguous_error``, which leaves open whether MAAS has acted, and nothing shows that it has.
    """
    patience = within if ambiguous_error is None else 0.0 if _is_over(ambiguous_error) else ctx.timing.settling
    until = anyio.current_time() + patience
    while not changed(now := await ctx.maas.machine(machine.system_id)):
        if anyio.current_time() >= until:
            shown = f"{state_of(now)}, power {now.power_state}"
            if ambiguous_error is not None:
                hint = f"Nothing shows that it took effect: {named(now)} is {shown}. {ambiguous_error.hint or ''}"
                ambiguous_error.hint = hint.strip()
                raise ambiguous_error
            raise OperationTimedOutError(
                f"MAAS accepted {op} for {named(now)}, but {readable(patience)} later it is still {shown}.",
                next_steps=[read_machine(now.system_id, "Read the machine again before trying anything else")],
            )
        ctx.progress.report(None, f"Waiting for {op} of {machine.hostname}: power {now.power_state}")
        await ctx.cancellation.sleep(ctx.timing.between_reads)
    return now


def _is_over(ambiguous_error: MaasError) -> bool:
    """Whether MAAS itself has answered: what it did shows at once."""
    return ambiguous_error.answered and not isinstance(ambiguous_error, MaasProtocolError)


async def _after_refusal(
    ctx: ToolContext, machine: Machine, changed: Callable[[Machine], bool], error: MaasError
) -> Machine:
    """The machine, if it has become as wanted since it was read.

    Raises:
        MaasError: ``error``, for it has not; a 403 says why.
    """
    if isinstance(error, MaasPermissionError):
        await explain_refusal(ctx.maas, machine, error)
    if isinstance(error, MaasConflictError):
        now = await ctx.maas.machine(machine.system_id)
        if changed(now):
            return now
    raise error
