"""``subscriptions/listen``: changed lists for every client, and updated resources for their own principal only."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import mcp_types as types
from mcp.server.subscriptions import ListenHandler, ResourceUpdated, ServerEvent, SubscriptionBus
from mcp.shared.exceptions import MCPError

from maas_mcp.calls.resource_updates import ResourceUpdates
from maas_mcp.server.request_context import Context, client_connection
from maas_mcp.server.session_subscriptions import check_uris

MAX_STREAMS: Final = 1024
"""Maximum open streams of all clients."""


class Listening:
    """Handles ``subscriptions/listen``. A stream that its client does not read ends after 1,024 waiting events.

    Args:
        shared: The bus of events that every client may see.
    """

    def __init__(self, shared: SubscriptionBus) -> None:
        self._shared = shared
        self._open = 0

    async def __call__(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve one stream until the client ends it.

        Raises:
            MCPError: Too many streams are open, or the stream would have too many or too long URIs.
        """
        check_uris(params.notifications.resource_subscriptions or ())
        if self._open >= MAX_STREAMS:
            raise MCPError(types.INTERNAL_ERROR, f"{MAX_STREAMS} streams are open. Try again later.")
        bus = _PrincipalBus(self._shared, ctx.lifespan_context.updates, client_connection(ctx).principal.name)
        self._open += 1
        try:
            return await ListenHandler(bus)(ctx, params)
        finally:
            self._open -= 1


class _PrincipalBus:
    """The shared events, and the updated resources of one principal."""

    def __init__(self, shared: SubscriptionBus, updates: ResourceUpdates, principal: str) -> None:
        self._shared = shared
        self._updates = updates
        self._principal = principal

    async def publish(self, event: ServerEvent) -> None:
        """Publish an event to every client."""
        await self._shared.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Deliver events to ``listener`` until the returned function is called."""
        stack = ExitStack()
        stack.callback(self._shared.subscribe(listener))
        stack.enter_context(self._updates.subscribed(self._principal, lambda uri: listener(ResourceUpdated(uri))))
        return stack.close
