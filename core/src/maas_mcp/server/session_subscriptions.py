"""The subscriptions of a session: ``resources/subscribe`` of the revisions before 2026-07-28."""

import logging
from collections.abc import Sequence
from typing import Final

import anyio
import mcp_types as types
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError

from maas_mcp.calls.resource_updates import ResourceUpdates
from maas_mcp.server.request_context import Context, client_connection

logger = logging.getLogger(__name__)

MAX_SUBSCRIPTIONS: Final = 1000
"""Maximum subscriptions of a session."""
MAX_URI: Final = 2048
"""Maximum characters of a subscribed URI. The server keeps it as long as the subscription."""
SEND_LIMIT: Final = 30.0
"""Seconds for the client to take one notification. After that, its subscriptions end."""
STATE_KEY: Final = "maas_mcp.subscriptions"


class SessionSubscriptions:
    """The subscribed URIs of one session, and the notifications that its client has not taken yet.

    A resource that changes again before its notification is sent is notified once: clients read it afterwards.

    Args:
        session: Sends the notifications.
    """

    def __init__(self, session: ServerSession) -> None:
        self._session = session
        self._uris: set[str] = set()
        self._pending: dict[str, None] = {}
        self._news = anyio.Event()
        self._scope = anyio.CancelScope()
        self.ended = False
        """Whether notifications are no longer sent."""

    def add(self, uri: str) -> None:
        """Subscribe to a resource.

        Raises:
            MCPError: The session has too many subscriptions, or the URI is too long.
        """
        check_uris([uri])
        if len(self._uris) >= MAX_SUBSCRIPTIONS and uri not in self._uris:
            raise MCPError(
                code=types.INVALID_PARAMS,
                message=f"This session has {MAX_SUBSCRIPTIONS} subscriptions. Unsubscribe from another resource first.",
            )
        self._uris.add(uri)

    def remove(self, uri: str) -> None:
        """Unsubscribe from a resource. A notification that waits is dropped."""
        self._uris.discard(uri)
        self._pending.pop(uri, None)

    def note(self, uri: str) -> None:
        """Receive an updated resource of the principal."""
        if uri in self._uris:
            self._pending[uri] = None
            self._news.set()

    async def run(self, updates: ResourceUpdates, principal: str) -> None:
        """Send the notifications until the session ends or its client no longer reads."""
        try:
            with self._scope, updates.subscribed(principal, self.note):
                while True:
                    await self._news.wait()
                    self._news = anyio.Event()
                    await self._send_pending()
        except (TimeoutError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            logger.info("A session no longer reads, so its resource subscriptions have ended")
        finally:
            self.ended = True

    async def _send_pending(self) -> None:
        while self._pending:
            uri = next(iter(self._pending))
            del self._pending[uri]
            with anyio.fail_after(SEND_LIMIT):
                await self._session.send_resource_updated(uri)

    def end(self) -> None:
        """End all subscriptions, because the session has ended."""
        self._scope.cancel()


def check_uris(uris: Sequence[str]) -> None:
    """Check the URIs of subscriptions.

    Raises:
        MCPError: There are too many, or one is too long.
    """
    if len(uris) > MAX_SUBSCRIPTIONS:
        raise MCPError(
            code=types.INVALID_PARAMS,
            message=f"Expected at most {MAX_SUBSCRIPTIONS} subscriptions, but there are {len(uris)}. "
            "Open several streams.",
        )
    longest = max(map(len, uris), default=0)
    if longest > MAX_URI:
        raise MCPError(
            code=types.INVALID_PARAMS,
            message=f"Expected URIs of at most {MAX_URI} characters, but one has {longest}.",
        )


def subscriptions_of(ctx: Context) -> SessionSubscriptions:
    """The subscriptions of a request's session. They are created by its first request for them."""
    # The SDK keeps a session's state and cleanup on its connection, which it does not expose to handlers otherwise.
    session = ctx.session._connection  # noqa: SLF001 - see above
    found: SessionSubscriptions | None = session.state.get(STATE_KEY)
    if found is None or found.ended:
        found = session.state[STATE_KEY] = SessionSubscriptions(ctx.session)
        session.exit_stack.callback(found.end)
        host = ctx.lifespan_context
        host.tasks.start_soon(found.run, host.updates, client_connection(ctx).principal.name)
    return found
