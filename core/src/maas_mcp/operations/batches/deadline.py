"""The deadline of a batch: when it passes, and how it ends the members that are still working."""

from collections.abc import Callable, Sequence
from typing import Any

import anyio

from maas_mcp.errors import OperationTimedOutError
from maas_mcp.operations.batches.batch import BatchOperation, Member
from maas_mcp.operations.batches.members import failed
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.advice import still_at_work
from maas_mcp.operations.progress import format_duration
from maas_mcp.operations.running.start_requests import StartRequest


def expires(batch: BatchOperation[Any, Any], handle: Handle, now: Callable[[], float]) -> float:
    """Return the deadline of a batch on anyio's clock; ``now`` returns the seconds since 1970."""
    return anyio.current_time() + handle.started + batch.deadline.total_seconds() - now()


async def apply_deadline(
    batch: BatchOperation[Any, Any], members: list[Member], limit: float, requests: Sequence[StartRequest]
) -> list[Member]:
    """After the deadline ``limit``, time out the working members and withdraw their unsent ``requests``."""
    if anyio.current_time() < limit:
        return members
    ended = [_time_out(batch, member) for member in members]
    late = {each.system_id: each.error for each in ended if isinstance(each.error, OperationTimedOutError)}
    for request in requests:
        await request.withdraw(late.get(request.handle.system_id))
    return ended


def _time_out(batch: BatchOperation[Any, Any], member: Member) -> Member:
    """Return the member as failed if it is still working."""
    if member.state != "working":
        return member
    advice = still_at_work(member.system_id)
    limit = format_duration(batch.deadline.total_seconds())
    error = OperationTimedOutError(
        f"{batch.name} did not finish within {limit}; last seen: {member.message}.",
        hint=advice.hint,
        next_steps=advice.next_steps,
    )
    return failed(member.system_id, error)
