"""The members of a batch: followed together, with one progress and one report."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import anyio

from maas_mcp.errors import (
    MaasMcpError,
    OperationCancelledError,
    OperationError,
    OperationFailedError,
    OperationRefusedError,
    OperationRevertedError,
    OperationTimedOutError,
)
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.batches.batch import BatchOperation, Member, MemberState
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.tool import ResultT, plugin_error
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.next_steps import FIND_OPERATION
from maas_mcp.operations.outages import StoppedFollowingError
from maas_mcp.operations.progress import PartialProgress, ProgressReporter
from maas_mcp.operations.running.results import ResultReader
from maas_mcp.operations.running.status import OperationStatus

logger = logging.getLogger(__name__)

NOT_IN_BATCH: Final = (
    "The machine is no longer part of this batch: MAAS never started it for the batch, or it was released, deleted "
    "or taken by another user since."
)
NOT_SHOWN: Final = "MAAS may not have handled its start request yet."
MOST_BEFORE_END: Final = 0.99
"""The highest progress before the result."""

Follow = Callable[[ProgressReporter], Awaitable[OperationStatus[Any]]]
"""Starts one member if necessary, and follows it."""


async def follow_all(name: str, followers: Mapping[SystemId, Follow], progress: ProgressReporter) -> list[Member]:
    """Follow all members with one progress. A failed member, or a fault of its plugin, does not stop the others."""
    members: dict[SystemId, Member] = {}
    fractions = dict.fromkeys(followers, 0.0)

    def report(system_id: SystemId, fraction: float | None, message: str) -> None:
        fractions[system_id] = max(fractions[system_id], fraction or 0.0)
        done = sum(member.state != "working" for member in members.values())
        share = sum(fractions.values()) / len(fractions)
        progress.report(min(share, MOST_BEFORE_END), f"{done} of {len(fractions)} done; {system_id}: {message}")

    async def follow(system_id: SystemId, one: Follow) -> None:
        member = await _follow_one(name, system_id, one, PartialProgress(partial(report, system_id)))
        if member is not None:
            members[system_id] = member
            if member.state != "working":
                report(system_id, 1.0, member.message)

    async with anyio.create_task_group() as tasks:
        for system_id, one in followers.items():
            tasks.start_soon(follow, system_id, one)
    if len(members) < len(followers):
        raise OperationCancelledError
    return [members[system_id] for system_id in followers]


async def _follow_one(name: str, system_id: SystemId, one: Follow, progress: ProgressReporter) -> Member | None:
    """Follow one member. Returns ``None`` after a cancellation, since many cancellations would form a group."""
    try:
        status = await one(progress)
    except OperationCancelledError:
        return None
    except MaasMcpError as error:
        return failed(system_id, error)
    except BaseException as error:
        if is_cancellation(error):
            raise
        logger.exception("%s failed on %s", name, system_id)
        return failed(system_id, plugin_error(name, error))
    state: MemberState = "succeeded" if status.ended else "working"
    message = status.problem.message if status.problem else status.message
    return Member(system_id, state, message, status.fraction, status.result, status.problem)


def failed(system_id: SystemId, error: MaasMcpError) -> Member:
    """Return a failed member with its error."""
    return Member(system_id, "failed", error.message, error=error)


def fail_members_started_elsewhere(members: Sequence[Member], requested: Collection[SystemId]) -> list[Member]:
    """Return the members. One that was already running is not part of this batch, so it counts as failed."""
    return [
        failed(
            member.system_id,
            OperationRefusedError(
                f"{member.message}.", hint="Wait until it ends, or abort it first.", next_steps=[FIND_OPERATION]
            ),
        )
        if member.state == "working" and member.system_id not in requested
        else member
        for member in members
    ]


def report_batch(
    batch: BatchOperation[Any, ResultT],
    handle: Handle,
    members: Sequence[Member],
    progress: ProgressReporter,
    *,
    is_aborting: bool = False,
    confirmed: bool = True,
) -> OperationStatus[ResultT]:
    """Report the status of a batch from its members.

    Args:
        batch: The operation.
        handle: The batch.
        members: Its machines.
        progress: Receives the success.
        is_aborting: Whether the working members are being aborted.
        confirmed: Whether MAAS is known to have accepted a start request of the batch.

    Raises:
        MaasMcpError: All members have failed.
    """
    count = Counter("being aborted" if is_aborting and each.state == "working" else each.state for each in members)
    message = ", ".join(f"{number} of {len(members)} {state}" for state, number in sorted(count.items()))
    working = [member for member in members if member.state == "working"]
    if working:
        message += _example([each for each in members if each.state == "failed"])
        message += _example(working) if is_aborting else ""
        done = [1.0 if member.state != "working" else member.fraction or 0.0 for member in members]
        return OperationStatus(handle, min(sum(done) / len(members), MOST_BEFORE_END), message, confirmed=confirmed)
    if not count["succeeded"]:
        raise _failure(batch, members)
    reading = ResultReader(batch, message)
    with reading.guarded():
        reading.result = batch.result(members)
    progress.report(1.0, message)
    return reading.status(handle, state="partly_succeeded" if count["failed"] else "succeeded")


def _example(members: Sequence[Member]) -> str:
    """Quote the message of the first member, and count the others."""
    if not members:
        return ""
    others = f" (and {len(members) - 1} more)" if members[1:] else ""
    return f"; {members[0].system_id or 'one'}: {members[0].message}{others}"


def _failure(batch: BatchOperation[Any, Any], members: Sequence[Member]) -> MaasMcpError:
    """Return the error that all members share, or one error with all reasons."""
    errors = {(type(member.error), member.message): member.error for member in members}
    common = next(iter(errors.values()))
    if common is not None and len(errors) == 1:
        return common
    reasons = [f"{member.system_id}: {member.message}" for member in members]
    hints = dict.fromkeys(member.error.hint for member in members if member.error and member.error.hint)
    steps = dict.fromkeys(step for member in members if member.error for step in member.error.next_steps)
    kinds = {type(member.error) for member in members}
    if kinds == {StoppedFollowingError}:
        return StoppedFollowingError(
            f"MAAS does not respond. Stopped following {batch.name} on all {len(members)} machines, which may still be "
            "running.",
            hint=" ".join(hints) or None,
            maas_says="\n".join(reasons),
        )
    kind, what = _common_error(kinds)
    return kind(
        f"{batch.name} {what} on all {len(members)} machines.",
        hint=" ".join(hints) or None,
        maas_says="\n".join(reasons) or None,
        next_steps=steps,
    )


def _common_error(kinds: set[type[Any]]) -> tuple[type[OperationError], str]:
    if kinds == {OperationRevertedError}:
        return OperationRevertedError, "was aborted or ended by someone else"
    if kinds == {OperationTimedOutError}:
        return OperationTimedOutError, "did not finish in time"
    return OperationFailedError, "failed"


def member_handle(each: str, system_id: SystemId, handle: Handle) -> Handle:
    """Return the handle of one member of the batch; ``each`` is its operation."""
    return replace(handle, operation=each, system_id=system_id)
