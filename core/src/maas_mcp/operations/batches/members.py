"""The members of a batch: followed together, with one progress over all, and told as one."""

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
from maas_mcp.operations.judging.advice import still_at_work
from maas_mcp.operations.next_steps import FIND_OPERATION
from maas_mcp.operations.progress import PartialProgress, ProgressReporter, format_duration
from maas_mcp.operations.running.results import Reading
from maas_mcp.operations.running.status import OperationStatus

logger = logging.getLogger(__name__)

LOST: Final = (
    "It does not belong to this batch: MAAS did not begin it for this batch, or it was released, deleted or taken by "
    "someone else since."
)
BEFORE_ALL: Final = 0.99
"""The most that the members' progress may come to: the whole is told with the result."""

Follow = Callable[[ProgressReporter], Awaitable[OperationStatus[Any]]]
"""Follows one member, telling its progress; starts it first, where it has not been started."""


async def together(name: str, following: Mapping[SystemId, Follow], progress: ProgressReporter) -> list[Member]:
    """Follow all members, with one progress over all. One that fails, by a plugin's fault as well, stops no other."""
    members: dict[SystemId, Member] = {}
    fractions = dict.fromkeys(following, 0.0)

    def report(system_id: SystemId, fraction: float | None, message: str) -> None:
        fractions[system_id] = max(fractions[system_id], fraction or 0.0)
        done = sum(member.state != "working" for member in members.values())
        share = sum(fractions.values()) / len(fractions)
        progress.report(min(share, BEFORE_ALL), f"{done} of {len(fractions)} done; {system_id}: {message}")

    async def follow(system_id: SystemId, one: Follow) -> None:
        member = await _followed(name, system_id, one, PartialProgress(partial(report, system_id)))
        if member is not None:
            members[system_id] = member
            if member.state != "working":
                report(system_id, 1.0, member.message)

    async with anyio.create_task_group() as tasks:
        for system_id, one in following.items():
            tasks.start_soon(follow, system_id, one)
    if len(members) < len(following):
        raise OperationCancelledError
    return [members[system_id] for system_id in following]


async def _followed(name: str, system_id: SystemId, one: Follow, progress: ProgressReporter) -> Member | None:
    """What became of one member; none if the batch was cancelled: one cancellation from each would be a group."""
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
    """A member that has not succeeded, and why."""
    return Member(system_id, "failed", error.message, error=error)


def checked(members: Sequence[Member], requested: Collection[SystemId]) -> list[Member]:
    """The members; one that was at it already belongs to whatever began that, and not to this batch."""
    return [
        failed(
            member.system_id,
            OperationRefusedError(
                f"{member.message}.", hint="Wait until it has ended, or abort it first.", next_steps=[FIND_OPERATION]
            ),
        )
        if member.state == "working" and member.system_id not in requested
        else member
        for member in members
    ]


def timed_out(batch: BatchOperation[Any, Any], member: Member) -> Member:
    """What a member is once the batch's own deadline has passed."""
    if member.state != "working":
        return member
    advice = still_at_work(member.system_id)
    error = OperationTimedOutError(
        f"{batch.name} was not over after {format_duration(batch.deadline.total_seconds())}; "
        f"last seen: {member.message}.",
        hint=advice.hint,
        next_steps=advice.next_steps,
    )
    return failed(member.system_id, error)


def report_batch(
    batch: BatchOperation[Any, ResultT],
    handle: Handle,
    members: Sequence[Member],
    progress: ProgressReporter,
    *,
    stopping: bool = False,
    confirmed: bool = True,
) -> OperationStatus[ResultT]:
    """What the members come to.

    Args:
        batch: What runs.
        handle: The batch.
        members: Its machines.
        progress: Reports the success.
        stopping: Whether what is at work is to be aborted.
        confirmed: Whether MAAS is known to have accepted the request for one of them.

    Raises:
        MaasMcpError: None has succeeded.
    """
    count = Counter("being aborted" if stopping and each.state == "working" else each.state for each in members)
    message = ", ".join(f"{number} of {len(members)} {state}" for state, number in sorted(count.items()))
    working = [member for member in members if member.state == "working"]
    if working:
        message += _example([each for each in members if each.state == "failed"])
        message += _example(working) if stopping else ""
        done = [1.0 if member.state != "working" else member.fraction or 0.0 for member in members]
        return OperationStatus(handle, min(sum(done) / len(members), BEFORE_ALL), message, confirmed=confirmed)
    if not count["succeeded"]:
        raise _failure(batch, members)
    reading = Reading(batch, message)
    with reading.watched():
        reading.result = batch.result(members)
    progress.report(1.0, message)
    return reading.status(handle, state="partly_succeeded" if count["failed"] else "succeeded")


def _example(members: Sequence[Member]) -> str:
    """What one of them says, and how many others there are."""
    if not members:
        return ""
    others = f" (and {len(members) - 1} more)" if members[1:] else ""
    return f"; {members[0].system_id or 'one'}: {members[0].message}{others}"


def _failure(batch: BatchOperation[Any, Any], members: Sequence[Member]) -> MaasMcpError:
    """Why nothing has succeeded: the one reason that all have, or all reasons."""
    errors = {(type(member.error), member.message): member.error for member in members}
    common = next(iter(errors.values()))
    if common is not None and len(errors) == 1:
        return common
    reasons = [f"{member.system_id}: {member.message}" for member in members]
    hints = dict.fromkeys(member.error.hint for member in members if member.error and member.error.hint)
    steps = dict.fromkeys(step for member in members if member.error for step in member.error.next_steps)
    kind, what = _kind({type(member.error) for member in members})
    return kind(
        f"{batch.name} {what} on all {len(members)} machines.",
        hint=" ".join(hints) or None,
        maas_says="\n".join(reasons) or None,
        next_steps=steps,
    )


def _kind(kinds: set[type[Any]]) -> tuple[type[OperationError], str]:
    if kinds == {OperationRevertedError}:
        return OperationRevertedError, "was aborted, or ended from outside,"
    if kinds == {OperationTimedOutError}:
        return OperationTimedOutError, "was not over in time"
    return OperationFailedError, "failed"


def of_batch(each: str, system_id: SystemId, handle: Handle) -> Handle:
    """The handle of one member of the batch that ``handle`` names; ``each`` is what is done to it."""
    return replace(handle, operation=each, system_id=system_id)
