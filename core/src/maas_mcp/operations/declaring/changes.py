"""Changes that MAAS completes within one request: check first, send once, then verify by a read."""

from collections.abc import Awaitable, Callable, Collection, Mapping
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
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.forms import FormValue
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.declaring.permission import explain_refusal
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.judging.advice import about_lock, before_start
from maas_mcp.operations.next_steps import read_machine
from maas_mcp.operations.progress import format_duration
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
    """Read a machine and check that it can be changed.

    Args:
        ctx: The tool's services.
        system_id: The machine.
        statuses: The statuses in which the change is possible; ``None`` for all.
        to: The change, for the error message: ``be aborted``.
        unless: Whether the machine already is as requested. Then it is returned without further checks.

    Raises:
        OperationRefusedError: The machine is locked or has another status. The hint says what to do.
    """
    machine = await ctx.maas.machine(system_id)
    if unless is not None and unless(machine):
        return machine
    name = named(machine)
    if machine.locked:
        advice = about_lock(machine, await _caller(ctx, machine))
        raise OperationRefusedError(
            f"{name} {machine.why_locked}, so it cannot {to}. Nothing was sent to MAAS.",
            hint=advice.hint,
            next_steps=advice.next_steps,
        )
    if statuses is not None and machine.status not in statuses:
        allowed = ", ".join(status.display for status in sorted(statuses))
        advice = before_start(machine, await _caller(ctx, machine))
        raise OperationRefusedError(
            f"{name} is {machine.status_name}; to {to} it has to be one of: {allowed}. Nothing was sent to MAAS.",
            hint=advice.hint,
            next_steps=advice.next_steps,
        )
    return machine


async def _caller(ctx: ToolContext, machine: Machine) -> str | None:
    """Return the caller's name if the advice depends on it; ``None`` if the machine has no owner."""
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
    """Send an operation once, then read the machine until it shows the change.

    Nothing is sent if ``machine`` already shows the change. A request may wait for minutes before it is sent; the
    machine is then read again first. The machine may still change before MAAS receives the request; MAAS then refuses
    the request. If another user has made the same change meanwhile, the call succeeds.

    Args:
        ctx: The tool's services.
        machine: The machine as it was just read.
        op: MAAS's name of the operation.
        changed: Whether a machine, as read, shows the change.
        within: Seconds for the change to show; by default those of ``ctx.timing``.
        check: Reads, checks and returns the machine after a wait; by default it is only read. In any case its status,
            owner and lock must not have changed.
        form: The operation's parameters.

    Returns:
        The machine after the change. If nothing was sent, ``machine`` or the machine that ``check`` returned.

    Raises:
        OperationRefusedError: The machine changed while the request waited. Nothing was sent.
        OperationFailedError: MAAS responded with ``null``: it cannot do this with the machine.
        OperationTimedOutError: MAAS accepted the request, but the machine does not show the change.
        MaasPermissionError: MAAS does not allow it. The hint says why.
        MaasError: MAAS refused the request or failed. If MAAS may have acted anyway, the machine was read to find out.
    """
    ctx.cancellation.raise_if_cancelled()
    if changed(machine):
        return machine
    read_at = anyio.current_time()
    async with ctx.maas.turn(op, lambda: ctx.progress.report(None, WAITING)) as maas:
        if anyio.current_time() > read_at + ctx.timing.stale:
            own = replace(ctx, maas=maas)
            before, machine = machine, await (check(own) if check else maas.machine(machine.system_id))
            if changed(machine):
                return machine
            check_same(before, machine)
        ambiguous_error = await _post_once(maas, machine, op, form)
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


async def _post_once(maas: MaasClient, machine: Machine, op: str, form: Mapping[str, FormValue]) -> MaasError | None:
    """Send the request. Return the error if MAAS or a proxy responded with one, or ``None``.

    Raises:
        OperationFailedError: MAAS responded with ``null``: it cannot do this with the machine.
    """
    try:
        answer = await maas.post_op(f"machines/{machine.system_id}/", op, **form)
    except MaasError as error:
        return error
    if answer is None:
        raise OperationFailedError(
            f"MAAS cannot do {op} with {named(machine)} (power type: {machine.power_type or 'none'}). It did nothing.",
            hint="Do it at the machine itself, or configure its power parameters in MAAS.",
        )
    return None


async def _read_back(
    ctx: ToolContext,
    machine: Machine,
    changed: Callable[[Machine], bool],
    *,
    op: str,
    within: float,
    ambiguous_error: MaasError | None,
) -> Machine:
    """Read the machine until it shows the change.

    After an error of MAAS itself, the change shows in the first read or never.

    Raises:
        OperationTimedOutError: The change does not show.
        MaasError: ``ambiguous_error``: MAAS may have acted, but nothing shows it.
    """
    limit = within if ambiguous_error is None else 0.0 if _is_maas_done(ambiguous_error) else ctx.timing.settling
    until = anyio.current_time() + limit
    while not changed(now := await ctx.maas.machine(machine.system_id)):
        if anyio.current_time() >= until:
            shown = f"{state_of(now)}, power {now.power_state}"
            if ambiguous_error is not None:
                hint = f"The request seems to have had no effect: {named(now)} is {shown}. {ambiguous_error.hint or ''}"
                ambiguous_error.hint = hint.strip()
                raise ambiguous_error
            raise OperationTimedOutError(
                f"MAAS accepted {op} for {named(now)}, but {format_duration(limit)} later it is still {shown}.",
                next_steps=[read_machine(now.system_id, "Read the machine again before you try anything else")],
            )
        ctx.progress.report(None, f"Waiting for {op} of {machine.hostname}: power {now.power_state}")
        await ctx.cancellation.sleep(ctx.timing.between_reads)
    return now


def _is_maas_done(ambiguous_error: MaasError) -> bool:
    """Whether MAAS itself responded, so that any effect of the request shows in the next read."""
    return ambiguous_error.answered and not isinstance(ambiguous_error, MaasProtocolError)


async def _after_refusal(
    ctx: ToolContext, machine: Machine, changed: Callable[[Machine], bool], error: MaasError
) -> Machine:
    """Return the machine if it shows the change by now.

    Raises:
        MaasError: ``error``, because it does not. A 403 says why.
    """
    if isinstance(error, MaasPermissionError):
        await explain_refusal(ctx.maas, machine, error)
    if isinstance(error, MaasConflictError):
        now = await ctx.maas.machine(machine.system_id)
        if changed(now):
            return now
    raise error
