"""A client's request, as the SDK passes it on: its connection and its features."""

from typing import Final

from mcp.server import ServerRequestContext

from maas_mcp.calls.arguments import ClientFeatures
from maas_mcp.calls.connections import Connection
from maas_mcp.calls.host import Host

EARLY_REVISION: Final = "2024-11-05"
"""The protocol revision of clients that may send ``_meta`` among the arguments."""
CONNECTION: Final = "maas_mcp.connection"
"""The key in the ASGI scope of an HTTP request that holds its :class:`Connection`."""

Context = ServerRequestContext[Host, object]


def client_connection(ctx: Context) -> Connection:
    """The connection of a request. Over stdio the request contains it, over HTTP its ASGI scope does.

    In tests, client and server may share the process without a transport. Then no request is cancelled by its id.
    """
    scope = getattr(ctx.request, "scope", {})
    connection: Connection | None = ctx.request if isinstance(ctx.request, Connection) else scope.get(CONNECTION)
    return connection or ctx.lifespan_context.connections.connect()


def client_features(ctx: Context) -> ClientFeatures:
    """The features of the request's client."""
    return ClientFeatures(meta_argument=ctx.protocol_version == EARLY_REVISION)
