"""Slots that limit the number of concurrent requests to a region, of all users together."""

import anyio

from maas_mcp.maas.limits import MAX_CHANGES, MAX_REQUESTS


class RequestSlots:
    """The request slots of one region, shared by all its clients in this process.

    Args:
        others: Requests at a time, without the event query.
        changes: How many of these may be changes.
        events: The slot of the event query, to share that of other slots.
    """

    def __init__(
        self, others: int = MAX_REQUESTS - 1, changes: int = MAX_CHANGES, events: anyio.CapacityLimiter | None = None
    ) -> None:
        self.events = events or anyio.CapacityLimiter(1)
        """The slot of the event query, which follows all operations and must not wait for slower requests."""
        self.others = anyio.CapacityLimiter(others)
        """The slots of all other requests."""
        self.changes = anyio.CapacityLimiter(changes)
        """Additional slots for changes. MAAS may hold a change for minutes, and reads must not wait for it."""
