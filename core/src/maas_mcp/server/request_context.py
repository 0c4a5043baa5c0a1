"""A client's request, as the SDK passes it on: its connection, its features, its capabilities and its progress."""

from collections.abc import Mapping
from typing import Any, Final

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from maas_mcp.calls.arguments import ClientFeatures, ProgressToken
from maas_mcp.calls.connections import Connection
from maas_mcp.calls.host import Host
from maas_mcp.machine_text import make_visible
from maas_mcp.operations.progress import Progress, ProgressSend

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
    params = ctx.session.client_params
    return ClientFeatures(
        meta_argument=ctx.protocol_version == EARLY_REVISION,
        name="" if params is None else make_visible(params.client_info.name),
    )


def is_modern(ctx: Context) -> bool:
    """Whether the request's protocol revision is 2026-07-28 or newer."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def declares_extension(ctx: Context, extension: str) -> bool:
    """Whether the request itself declares an extension, as each request does since 2026-07-28.

    An extension that a client of an earlier revision declares in ``initialize`` does not count: the client cannot read
    its results.
    """
    capabilities = request_meta(ctx).get(types.CLIENT_CAPABILITIES_META_KEY)
    extensions = capabilities.get("extensions") if isinstance(capabilities, Mapping) else None
    return is_modern(ctx) and isinstance(extensions, Mapping) and extension in extensions


def request_meta(ctx: Context) -> Mapping[str, Any]:
    """The ``_meta`` of a request; empty if it has none."""
    return (ctx.params or {}).get("_meta") or {}


def has_token(ctx: Context, argument_token: ProgressToken | None) -> bool:
    """Whether the request has a progress token, in its ``_meta`` or among the arguments."""
    return argument_token is not None or "progressToken" in request_meta(ctx)


def progress_sender(ctx: Context, argument_token: ProgressToken | None) -> ProgressSend:
    """A function that sends progress for the request's token, or else for the token among the arguments."""
    if argument_token is None or "progressToken" in request_meta(ctx):

        async def send(progress: Progress) -> None:
            await ctx.session.report_progress(progress.value, progress.total, make_visible(progress.message))

    else:

        async def send(progress: Progress) -> None:
            await ctx.session.send_progress_notification(
                argument_token, progress.value, progress.total, make_visible(progress.message)
            )

    return send
