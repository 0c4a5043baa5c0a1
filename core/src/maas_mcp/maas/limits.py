"""Limits of requests to MAAS: how many at a time, how long, and how many events per response."""

from typing import Final

MAX_REQUESTS: Final = 4
"""Requests at a time: as many as one worker process of a region serves (MAAS 3.7)."""
MAX_CHANGES: Final = 2
"""Changes at a time. MAAS may hold a POST for minutes, and reads must not wait for it."""
MAX_EVENTS: Final = 1000
"""The most events in one response of MAAS."""
CONNECT_TIMEOUT: Final = 10.0
"""Seconds to wait for a connection."""
READ_TIMEOUT: Final = 60.0
"""Seconds to wait for the response to a read."""
CHANGE_TIMEOUT: Final = 900.0
"""Seconds to wait for the response to a change. MAAS contacts the BMC before it responds, and its own nginx has the
same limit (MAAS 3.7)."""
