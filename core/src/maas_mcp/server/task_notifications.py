"""Notifies clients of their tasks on ``subscriptions/listen``, next to the other kinds of subscription."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, Literal, cast

import anyio
import mcp_types as types
from anyio.abc import TaskGroup
from mcp.server import Server
from mcp.server.session import ServerSession
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.shared.exceptions import MCPError

from maas_mcp.calls.host import Host
from maas_mcp.operations.progress import Progress
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.listening import Listening
from maas_mcp.server.request_context import Context, client_connection
from maas_mcp.server.task_wire import Task, TaskId
from maas_mcp.server.tasks import check_declared, read_task

logger = logging.getLogger(__name__)

MAX_TASKS: Final = 64
"""Tasks that one stream may follow. A client can open several streams."""
RETRY: Final = 10.0
"""Seconds until a task that could not be followed is followed again."""
FILTER: Final = "taskIds"

Listen = Callable[[Context, types.SubscriptionsListenRequestParams], Awaitable[types.SubscriptionsListenResult]]


def add_handlers(server: Server[Host], served: Catalogue, _log: ClientLog) -> None:
    """Handle ``subscriptions/listen``."""
    server.add_request_handler(
        "subscriptions/listen", types.SubscriptionsListenRequestParams, TaskListener(Listening(served.bus))
    )


class TaskNotification(types.Notification[dict[str, Any], Literal["notifications/tasks"]]):
    """``notifications/tasks``: a whole task, as ``tasks/get`` returns it."""

    method: Literal["notifications/tasks"] = "notifications/tasks"


class TaskListener:
    """Serves ``subscriptions/listen``: follows the tasks in its filter, and leaves the rest to another handler.

    Args:
        others: Serves the other kinds of subscription. It sends the acknowledgement.
    """

    def __init__(self, others: Listen) -> None:
        self._others = others

    async def __call__(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve one stream.

        Raises:
            MCPError: The filter is invalid, or the client does not declare the extension.
        """
        wanted = _task_ids(params.notifications)
        if wanted is None:
            return await self._others(ctx, params)
        check_declared(ctx)
        known = await _known(ctx, wanted)
        outcome: types.SubscriptionsListenResult | MCPError
        async with anyio.create_task_group() as tasks:
            session = _Session(ctx.session, known, lambda: _follow_each(ctx, known, tasks))
            try:
                outcome = await self._others(replace(ctx, session=cast(ServerSession, session)), params)
            except MCPError as error:
                outcome = error  # raised below, because the task group would wrap it
            tasks.cancel_scope.cancel()
        if isinstance(outcome, MCPError):
            raise outcome
        return outcome


class _Session:
    """A session that adds the tasks to the acknowledgement of a stream, and then starts to follow them."""

    def __init__(self, session: ServerSession, task_ids: list[str], acknowledged: Callable[[], None]) -> None:
        self._session = session
        self._task_ids = task_ids
        self._acknowledged = acknowledged

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def send_notification(
        self, notification: types.ServerNotification, related_request_id: types.RequestId | None = None
    ) -> None:
        """Send a notification."""
        acknowledges = isinstance(notification, types.SubscriptionsAcknowledgedNotification)
        if isinstance(notification, types.SubscriptionsAcknowledgedNotification):
            honored = notification.params.notifications.model_copy(update={FILTER: self._task_ids})
            params = notification.params.model_copy(update={"notifications": honored})
            notification = notification.model_copy(update={"params": params})
        await self._session.send_notification(notification, related_request_id)
        if acknowledges:
            self._acknowledged()


def _task_ids(wanted: types.SubscriptionFilter) -> list[str] | None:
    """The task ids in a filter, each once; ``None`` if it has none."""
    given = (wanted.model_extra or {}).get(FILTER)
    if given is None or given == []:
        return None
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise MCPError(code=types.INVALID_PARAMS, message=f"`{FILTER}`: expected a list of task ids.")
    if len(given) > MAX_TASKS:
        raise MCPError(
            code=types.INVALID_PARAMS,
            message=f"`{FILTER}`: expected at most {MAX_TASKS} task ids, but there are {len(given)}. "
            "Open several streams, or poll with tasks/get.",
        )
    return list(dict.fromkeys(given))


async def _known(ctx: Context, task_ids: list[str]) -> list[str]:
    """The ids of the caller's own tasks. The others are left out of the acknowledgement, as the protocol says."""
    known = []
    host, principal = ctx.lifespan_context, client_connection(ctx).principal
    for each in task_ids:
        try:
            operation_id = TaskId.parse(each).operation_id
        except MCPError:
            continue
        if await host.region_of(principal, operation_id) is not None:
            known.append(each)
    return known


def _follow_each(ctx: Context, task_ids: list[str], tasks: TaskGroup) -> None:
    for each in task_ids:
        tasks.start_soon(_follow, ctx, each)


async def _follow(ctx: Context, task_id: str) -> None:
    """Send the task as it is now, then each progress, and at last its end."""

    async def send(task: Task) -> None:
        meta = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        notification = TaskNotification(params={**task.to_wire(), "_meta": meta})
        await ctx.session.send_notification(cast(types.ServerNotification, notification), ctx.request_id)

    while True:
        try:
            task = await read_task(ctx, task_id)
            await send(task)
            if task.status == "working":

                async def report(progress: Progress, latest: Task = task) -> None:
                    percent = "" if progress.total is None else f" ({progress.value / progress.total:.0%})"
                    await send(replace(latest, message=f"{progress.message}{percent}"))

                task = await read_task(ctx, task_id, seconds=None, send=report)
                await send(task)
        except MCPError as error:
            logger.debug("a task is no longer followed: %s", error)
            return
        if task.status != "working":
            return
        await anyio.sleep(RETRY)
