"""A change that MAAS completes within one request: check first, send once, then verify by a read."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import anyio

from maas_mcp.errors import (
    MaasBadRequestError,
    MaasConflictError,
    MaasError,
    MaasNotFoundError,
    MaasPermissionError,
    MaasProtocolError,
    OperationTimedOutError,
)
from maas_mcp.maas.change_request import RehearsedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine
from maas_mcp.operations.declaring.permission import explain_refusal
from maas_mcp.operations.declaring.tool import ToolContext
from maas_mcp.operations.next_steps import read_machine
from maas_mcp.operations.progress import format_duration
from maas_mcp.operations.rechecks import check_same
from maas_mcp.operations.wording import WAITING

StateT = TypeVar("StateT")

_SHOWN_BY_A_READ = (MaasBadRequestError, MaasConflictError, MaasNotFoundError)
"""Refusals that MAAS also gives if another request has made the same change first."""


class SingleChange(ABC, Generic[StateT]):
    """A change that MAAS completes within one request; :func:`change_once` makes it.

    ``StateT`` is the type of what :meth:`read` returns: a machine, or everything else that shows the change.
    """

    op: str = ""
    """MAAS's name of the operation, or the HTTP method and object: ``link_subnet``, ``PUT``."""
    within: float | None = None
    """Seconds for the change to show; ``None`` for those of ``ctx.timing``."""

    @abstractmethod
    async def read(self, maas: MaasClient) -> StateT:
        """Read what shows the change."""

    @abstractmethod
    async def send(self, maas: MaasClient) -> None:
        """Send the request, exactly one."""

    @abstractmethod
    def is_done(self, state: StateT) -> bool:
        """Whether there is nothing to send, because MAAS already shows the change."""

    def is_shown(self, state: StateT) -> bool:
        """Whether a state shows the change that MAAS has accepted. By default, as :meth:`is_done`."""
        return self.is_done(state)

    def is_proven(self, state: StateT) -> bool:
        """Whether a state proves that MAAS made the change although its answer was lost or an error."""
        return self.is_shown(state)

    @abstractmethod
    def target(self) -> str:
        """The object for messages: ``node04 (b6f86m)``."""

    @abstractmethod
    def shown(self, state: StateT) -> str:
        """What the object is without the change, for messages: ``Ready, power off``."""

    def hint_if_lost(self, state: StateT) -> str:
        """What a read shows after a request whose answer was lost or an error."""
        return f"The request seems to have had no effect: {self.target()} is {self.shown(state)}."

    def machine(self, state: StateT) -> Machine | None:
        """The machine that must keep its status, owner and lock until the request is sent, if there is one."""
        return state if isinstance(state, Machine) else None

    async def check_again(self, ctx: ToolContext) -> StateT:
        """Read again, after the request has waited. Override it to repeat more checks."""
        return await self.read(ctx.maas)


@dataclass(frozen=True, slots=True)
class Changed(Generic[StateT]):
    """The result of a :class:`SingleChange`."""

    state: StateT
    """As it was read after the change; or before, if nothing was sent."""
    sent: bool
    """Whether a request was sent. False if MAAS already showed the change."""
    error: MaasError | None = None
    """The error of the request, if MAAS made the change anyway."""


async def change_once(ctx: ToolContext, before: StateT, change: SingleChange[StateT]) -> Changed[StateT]:
    """Send a change once, then read until MAAS shows it.

    Nothing is sent if ``before`` already shows the change. A request may wait for minutes before it is sent; the state
    is then read again first. If another user has made the same change meanwhile, the call succeeds. A request is never
    repeated: if its answer was lost, a read shows whether MAAS made the change.

    Args:
        ctx: The tool's services.
        before: The state as it was just read.
        change: The change.

    Raises:
        OperationRefusedError: The machine changed while the request waited. Nothing was sent.
        OperationTimedOutError: MAAS accepted the request, but no read shows the change.
        MaasPermissionError: MAAS does not allow it. The hint says why.
        MaasError: MAAS refused the request or failed. If MAAS may have acted anyway, it was read to find out.
    """
    ctx.cancellation.raise_if_cancelled()
    if change.is_done(before):
        return Changed(before, sent=False)
    read_at, error = anyio.current_time(), None
    async with ctx.maas.turn(change.op, lambda: ctx.progress.report(None, WAITING)) as maas:
        if anyio.current_time() > read_at + ctx.timing.stale:
            first, before = before, await change.check_again(replace(ctx, maas=maas))
            if change.is_done(before):
                return Changed(before, sent=False)
            _check_same(change, first, before)
        try:
            await change.send(maas)
        except MaasError as caught:
            error = caught
    if error is not None and not error.may_have_acted:
        return Changed(await _after_refusal(ctx, change, before, error), sent=True, error=error)
    return Changed(await _read_back(ctx, change, before, error), sent=True, error=error)


@contextmanager
def planned_step() -> Iterator[None]:
    """Continue after a change that a plan has only recorded, so that the plan shows the next changes as well."""
    with suppress(RehearsedError):
        yield


def _check_same(change: SingleChange[StateT], before: StateT, now: StateT) -> None:
    machine, machine_now = change.machine(before), change.machine(now)
    if machine is not None and machine_now is not None:
        check_same(machine, machine_now)


async def _read_back(
    ctx: ToolContext, change: SingleChange[StateT], before: StateT, ambiguous_error: MaasError | None
) -> StateT:
    """Read until the change shows.

    After an error of MAAS itself, the change shows in the first read or never.

    Raises:
        OperationTimedOutError: The change does not show.
        MaasError: ``ambiguous_error``: MAAS may have acted, but nothing shows it. Or MAAS accepted the request and
            cannot be read.
    """
    settling = ctx.timing.settling
    limit = settling if change.within is None else change.within
    shows = change.is_shown
    if ambiguous_error is not None:
        limit, shows = 0.0 if _is_maas_done(ambiguous_error) else settling, change.is_proven
    until = anyio.current_time() + limit
    while True:
        unreadable, state = None, before
        try:
            state = await change.read(ctx.maas)
        except MaasError as error:
            if not error.may_pass:
                raise
            unreadable = error
        if unreadable is None and shows(state):
            return state
        if anyio.current_time() >= until:
            raise _not_shown(change, state, limit, ambiguous_error, unreadable)
        ctx.progress.report(None, f"Waiting for {change.op} of {change.target()}: {change.shown(state)}")
        await ctx.cancellation.sleep(ctx.timing.between_reads)


def _not_shown(
    change: SingleChange[StateT],
    state: StateT,
    limit: float,
    ambiguous_error: MaasError | None,
    unreadable: MaasError | None,
) -> Exception:
    """The error if no read shows the change."""
    machine = change.machine(state)
    step = [] if machine is None else [read_machine(machine.system_id, "Read the machine before you try anything else")]
    if unreadable is not None:
        accepted = "MAAS accepted" if ambiguous_error is None else "MAAS may have carried out"
        error = ambiguous_error or unreadable
        error.hint = (
            f"{accepted} {change.op} for {change.target()}, but it cannot be read. Read it before you repeat it."
        )
        error.next_steps = tuple(step)
        return error
    if ambiguous_error is not None:
        ambiguous_error.hint = f"{change.hint_if_lost(state)} {ambiguous_error.hint or ''}".strip()
        return ambiguous_error
    return OperationTimedOutError(
        f"MAAS accepted {change.op} for {change.target()}, but {format_duration(limit)} later it is still "
        f"{change.shown(state)}.",
        next_steps=step,
    )


def _is_maas_done(ambiguous_error: MaasError) -> bool:
    """Whether MAAS itself responded, so that any effect of the request shows in the next read."""
    return ambiguous_error.answered and not isinstance(ambiguous_error, MaasProtocolError)


async def _after_refusal(ctx: ToolContext, change: SingleChange[StateT], before: StateT, error: MaasError) -> StateT:
    """Return the state if it shows the change by now.

    Raises:
        MaasError: ``error``, because it does not. A 403 says why.
    """
    if isinstance(error, MaasPermissionError):
        await explain_refusal(ctx.maas, change.machine(before), error)
    if isinstance(error, _SHOWN_BY_A_READ):
        with suppress(MaasError):
            state = await change.read(ctx.maas)
            if change.is_proven(state):
                return state
    raise error
