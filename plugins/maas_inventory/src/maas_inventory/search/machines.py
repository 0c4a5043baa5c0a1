"""Finds machines for a search."""

from maas_inventory.machine_names import find_machines
from maas_inventory.search.query import Query
from maas_mcp.api import Machine, ToolContext


async def search_machines(ctx: ToolContext, query: Query) -> list[Machine]:
    """Return the machines whose system id, hostname, FQDN or MAC address is the text."""
    if query.address is not None or query.network is not None or len(query.words) > 1:
        return []
    return await find_machines(ctx, query.text)
