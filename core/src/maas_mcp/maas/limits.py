"""How many requests MAAS is sent at a time, for how long they may take, and how much it answers."""

from typing import Final

MAX_REQUESTS: Final = 4
"""Requests at once: as many as one worker process of a region serves (MAAS 3.7)."""
MAX_CHANGES: Final = 2
"""How many of them may change something: MAAS may hold a POST for minutes, and reads have to get through beside it."""
MOST_EVENTS: Final = 1000
"""The most events that MAAS gives in one answer."""
CONNECT_TIMEOUT: Final = 10.0
"""Seconds for a connection."""
READ_TIMEOUT: Final = 60.0
"""Seconds after which the answer to a read is no longer waited for."""
LONGEST_POST: Final = 900.0
"""The same for a change. MAAS speaks to the BMC before it answers, and its own nginx gives up after as long
(MAAS 3.7)."""
