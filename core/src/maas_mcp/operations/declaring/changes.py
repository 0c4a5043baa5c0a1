"""Checks and operations of short tools on a machine."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from maas_mcp.errors import MaasError, OperationFailedError, OperationRefusedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.forms import FormValue
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.declaring.single_change import SingleChange, change_once
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.judging.advice import about_lock, before_start
from maas_mcp.operations.wording import named, state_of


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
    if unless is None or not unless(machine):
        await check_status(ctx, machine, statuses, to=to)
    return machine


async def check_status(
    ctx: ToolContext, machine: Machine, statuses: Collection[MachineStatus] | None = None, *, to: str
) -> None:
    """Check that a machine, as it was just read, can be changed. As :func:`require_status` otherwise.

    Raises:
        OperationRefusedError: The machine is locked or has another status. The hint says what to do.
    """
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
    change = _MachineOperation(before=machine, op=op, changed=changed, within=within, check=check, form=form)
    return (await change_once(ctx, machine, change)).state


@dataclass(frozen=True, kw_only=True)
class _MachineOperation(SingleChange[Machine]):
    """A named operation on a machine: ``POST machines/{system_id}/?op=op``."""

    before: Machine
    op: str
    changed: Callable[[Machine], bool]
    within: float | None
    check: Callable[[ToolContext], Awaitable[Machine]] | None
    form: Mapping[str, FormValue]

    async def read(self, maas: MaasClient) -> Machine:
        return await maas.machine(self.before.system_id)

    async def check_again(self, ctx: ToolContext) -> Machine:
        return await (self.check(ctx) if self.check else self.read(ctx.maas))

    async def send(self, maas: MaasClient) -> None:
        """Post the operation.

        Raises:
            OperationFailedError: MAAS responded with ``null``: it cannot do this with the machine.
        """
        if await maas.post_op(f"machines/{self.before.system_id}/", self.op, **self.form) is None:
            raise OperationFailedError(
                f"MAAS cannot do {self.op} with {self.target()} (power type: {self.before.power_type or 'none'}). It "
                "did nothing.",
                hint="Do it at the machine itself, or configure its power parameters in MAAS.",
            )

    def is_done(self, state: Machine) -> bool:
        return self.changed(state)

    def target(self) -> str:
        return named(self.before)

    def shown(self, state: Machine) -> str:
        return f"{state_of(state)}, power {state.power_state}"
