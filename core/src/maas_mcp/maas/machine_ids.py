"""Machine ids in the URL of a request."""

from collections.abc import Iterable, Iterator
from typing import Final

from maas_mcp.maas.models import SystemId

URL_BYTES: Final = 5_800
"""Maximum bytes of the ids in a request: MAAS's nginx refuses a URL of 8 kB, and the rest of it needs space."""


def chunks(ids: Iterable[SystemId], most: int | None = None) -> Iterator[tuple[SystemId, ...]]:
    """Split ``ids`` into chunks of at most ``most`` that fit into a URL as ``id=…&id=…``."""
    chunk: list[SystemId] = []
    size = 0
    for system_id in ids:
        length = len("&id=") + len(system_id)
        if chunk and (size + length > URL_BYTES or len(chunk) == most):
            yield tuple(chunk)
            chunk, size = [], 0
        chunk.append(system_id)
        size += length
    if chunk:
        yield tuple(chunk)
