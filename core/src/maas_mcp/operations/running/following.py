"""Follows a run from its start to its end: polls it, and returns its result or raises an error with the reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio

from maas_mcp.errors import MaasMcpError, OperationCancelledError, OperationError
from maas_mcp.operations.declaring.operation_change import ChangeKind
from maas_mcp.operations.declaring.tool import ResultT
from maas_mcp.operations.judging.lifecycle import Verdict
from maas_mcp.operations.outages import check_outage
from maas_mcp.operations.running.results import ResultReader
from maas_mcp.operations.running.run import Run
from maas_mcp.operations.running.status import OperationStatus


async def watch(run: Run[Any, ResultT], until: float) -> OperationStatus[ResultT]:
    """Poll a run to its end or until ``until``, on anyio's clock.

    Raises:
        OperationError: It did not succeed. The message gives the reason.
        MaasError: MAAS refused to start it, or can no longer be reached.
    """
    subject = run.subject
    with anyio.CancelScope(deadline=run.expires) as scope, subject.watched():
        if run.request.ambiguous_error is not None:
            run.report()
        while not subject.latest.verdict.final:
            # During an outage MAAS cannot show a start, so only its last response counts.
            run.check_start()
            if subject.latest.verdict.final:
                break
            if anyio.current_time() >= until:
                return run.working()
            await subject.poll(run.request, until)
            scope.deadline = run.expires  # infinite until the request was sent
            if not subject.latest.verdict.final:
                run.report()
            if subject.silent_for is not None:
                check_outage(subject.silent_for, subject.shared.timing.outage_limit, subject.latest.message)
            await _record(run)
    if not subject.latest.verdict.final:
        await subject.last_poll()
    run.request.check_refusal(subject.name)
    if not subject.latest.verdict.final:
        raise run.timed_out()
    return await _end(run)


async def watch_resumed(run: Run[Any, ResultT], asked: float, until: float) -> OperationStatus[ResultT]:
    """Check a run that was read again after ``asked``, and poll it to its end or until ``until``.

    Raises:
        OperationError: It did not succeed, or its deadline has passed. The message gives the reason.
        MaasError: MAAS refused to start it, or can no longer be reached.
    """
    with publishing_failure(run):
        run.check_start()
        await _record(run)
        if run.subject.latest.verdict.final:
            return await _end(run)
        if run.expires <= anyio.current_time():
            raise run.timed_out()
        if until <= asked:
            return run.working()
        run.report()
        return await watch(run, until)


async def _record(run: Run[Any, Any]) -> None:
    """Remember the assessment, and make sure that it is of this run."""
    subject = run.subject
    if subject.silent_for is None:
        subject.shared.last_seen.remember(subject.handle, subject.latest)
    await subject.check_started_by_caller(run.request)


async def _end(run: Run[Any, ResultT]) -> OperationStatus[ResultT]:
    """Return the status of a run with a final verdict.

    Raises:
        OperationError: It did not succeed. The message gives the reason.
    """
    subject, progress = run.subject, run.subject.ctx.progress
    await subject.confirm_end()
    subject.shared.last_seen.remember(subject.handle, subject.latest)
    message = subject.latest.message
    if subject.latest.verdict is not Verdict.SUCCEEDED:
        progress.report(subject.latest.fraction, message)
        raise await subject.explain(run.request)
    reading = ResultReader(subject.operation, message)
    with reading.guarded():
        reading.result = await subject.result()
    progress.report(1.0, message)
    run.publish(ChangeKind.ENDED, 1.0, message)
    return reading.status(subject.handle)


@contextmanager
def publishing_failure(run: Run[Any, Any]) -> Iterator[None]:
    """Publish the end of a run if the block raises the error of a run without success."""
    try:
        yield
    except OperationCancelledError:
        raise
    except MaasMcpError as error:
        # A refusal by MAAS ends the run as well. An outage ends only the following.
        if isinstance(error, OperationError) or run.request.refusal is error:
            run.publish(ChangeKind.ENDED, run.subject.latest.fraction, error.message, error)
        raise
