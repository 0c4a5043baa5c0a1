"""Seals the state that clients carry between two calls, so that any replica with the same secret continues them."""

from functools import cached_property
from typing import Any, Final

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp_types.methods import is_input_required

from maas_mcp.operations.signing import derive_keys
from maas_mcp.secret import load_secrets
from maas_mcp.server.request_context import client_connection
from maas_mcp.settings import Settings

PURPOSE: Final = b"maas-mcp: state of a request with questions"
"""Derives the keys, so that no sealed state can pass for an operation id."""


class SealedRequestState:
    """Middleware that verifies the state in a request, and seals the state in a result.

    A state is valid for ten minutes, for one principal, and for one tool with the same arguments.

    Args:
        settings: The settings with the secrets.
        server: The server's name: another server with the same secret rejects the state.
    """

    def __init__(self, settings: Settings, server: str) -> None:
        self._settings = settings
        self._server = server

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Pass a request on."""
        if (ctx.params or {}).get("requestState") is not None:
            return await self._boundary(ctx, call_next)
        result = await call_next(ctx)
        if not is_input_required(result):
            return result

        async def answered(_ctx: ServerRequestContext[Any, Any]) -> HandlerResult:
            return result

        return await self._boundary(ctx, answered)

    @cached_property
    def _boundary(self) -> ServerMiddleware[Any]:
        keys = list(derive_keys(load_secrets(self._settings), PURPOSE))
        security = RequestStateSecurity(keys=keys, bind_principal=lambda ctx: client_connection(ctx).principal.name)
        return RequestStateBoundary(security, default_audience=self._server)
