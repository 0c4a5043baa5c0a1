"""Log messages of tools for clients before 2026-07-28, which has deprecated them."""

from collections import OrderedDict
from typing import Final, cast, get_args

import mcp_types as types
from mcp.server import Server

from maas_mcp.calls.host import Host
from maas_mcp.machine_text import make_visible
from maas_mcp.server.request_context import Context, client_connection, is_modern

LEVELS: Final[tuple[str, ...]] = get_args(types.LoggingLevel)
MAX_SESSIONS: Final = 10_000
"""Sessions whose level is kept. The others receive every message."""


class ClientLog:
    """Sends messages to a client, unless its session's level is higher."""

    def __init__(self) -> None:
        self._levels: OrderedDict[object, str] = OrderedDict()

    def serve(self, server: Server[Host]) -> None:
        """Handle ``logging/setLevel``. The SDK rejects it since 2026-07-28."""
        server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, self._set_level)

    async def _set_level(self, ctx: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        self._levels[_session(ctx)] = params.level
        while len(self._levels) > MAX_SESSIONS:
            self._levels.popitem(last=False)
        return types.EmptyResult()

    async def send(self, ctx: Context, text: str, level: str) -> None:
        """Send a message by the request's own stream."""
        threshold = self._levels.get(_session(ctx), LEVELS[0])
        if is_modern(ctx) or level not in LEVELS or LEVELS.index(level) < LEVELS.index(threshold):
            return
        params = types.LoggingMessageNotificationParams(level=cast(types.LoggingLevel, level), data=make_visible(text))
        await ctx.session.send_notification(types.LoggingMessageNotification(params=params), ctx.request_id)


def _session(ctx: Context) -> object:
    """The key of a session: over HTTP its principal and its id, and otherwise the connection.

    Without sessions, a client may send any id or none, so that the id alone could be another principal's.
    """
    headers, connection = getattr(ctx.request, "headers", None), client_connection(ctx)
    return connection if headers is None else (connection.principal.name, headers.get("mcp-session-id"))
