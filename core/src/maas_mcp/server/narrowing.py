"""The selections of tools that belong to one request: its headers, and the permissions of its MAAS user."""

from typing import Final

from maas_mcp.calls.host import Host
from maas_mcp.calls.principal import Principal
from maas_mcp.calls.served import Served
from maas_mcp.policy.selection import RequestSelection, Selection, UserSelection
from maas_mcp.server.request_context import Context, client_connection

SELECTION: Final = "maas_mcp.selection"
"""The key in the ASGI scope of an HTTP request that holds its :class:`RequestSelection`."""


async def selections_of(ctx: Context) -> tuple[Selection, ...]:
    """The selections that narrow what a request can use. Each request of a session has its own headers."""
    found: list[Selection] = []
    request: RequestSelection | None = getattr(ctx.request, "scope", {}).get(SELECTION)
    if request is not None and request != RequestSelection():
        found.append(request)
    return (*found, *await user_selections(ctx.lifespan_context, client_connection(ctx).principal))


async def user_selections(host: Host, principal: Principal) -> tuple[Selection, ...]:
    """The selection for the MAAS user of a principal, if the settings hide tools from users. It may ask MAAS."""
    if not host.policy.hides_admin_tools or not any(tool.admin_only for tool in host.tools.values()):
        return ()
    user = None
    for region in host.regions_of(principal) or ("",):
        async with host.tenant(principal, region) as tenant:
            user = await tenant.find_user()
        if user is None or user.is_superuser:  # a call may choose this region
            return ()
    return () if user is None else (UserSelection(user.username),)


async def served_to(ctx: Context) -> Served:
    """The tools that a request can use."""
    return ctx.lifespan_context.serving.select(*await selections_of(ctx))
