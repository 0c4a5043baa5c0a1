"""Places for requests: a region is sent few at a time, whichever users they are of."""

import anyio

from maas_mcp.maas.limits import MAX_CHANGES, MAX_REQUESTS


class RequestSlots:
    """The places of one region, shared by all clients of it in this process.

    Args:
        others: How many requests at once, beside the query of events.
        changes: How many of them may change something.
        events: The place of another's for the query of events.
    """

    def __init__(
        self, others: int = MAX_REQUESTS - 1, changes: int = MAX_CHANGES, events: anyio.CapacityLimiter | None = None
    ) -> None:
        self.events = events or anyio.CapacityLimiter(1)
        """For the query of events: everything is followed by it, and nothing slower may hold it up."""
        self.others = anyio.CapacityLimiter(others)
        """For everything else."""
        self.changes = anyio.CapacityLimiter(changes)
        """Which a change takes as well: MAAS may hold it for minutes, and reads have to get through beside it."""
