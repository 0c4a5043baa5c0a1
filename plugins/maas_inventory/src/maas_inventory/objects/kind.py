"""A kind of MAAS's objects, declared as data: its path, its row, and the requests that complete a row."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from maas_inventory.objects.row import ObjectRow
from maas_inventory.values import JSON
from maas_mcp.api import ToolContext

Filters = Mapping[str, str | int | bool]
Read = Callable[[ToolContext, Filters], Awaitable[JSON]]
"""Reads the list of a kind from MAAS. The filters are those of the call."""
Complete = Callable[[ToolContext, Any], Awaitable[Mapping[str, JSON]]]
"""Returns further fields of one row, from requests of its own."""

MAX_COMPLETED: Final = 25
"""Rows of a page that need requests of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of objects."""

    name: str
    """The name that callers use: ``vm_host``."""
    noun: str
    """One object in a sentence: ``VM host``."""
    plural: str = ""
    """Several of them; by default the noun with an *s*."""
    row: type[ObjectRow]
    path: str = ""
    """The path of MAAS's list; empty if ``read`` replaces it."""
    entries: Callable[[JSON], JSON] | None = None
    """Takes the objects from the response for ``path``, where they are inside other objects."""
    read: Read | None = None
    """Reads the list where that takes more than the request for ``path``."""
    complete: Complete | None = None
    """The fields of a row that MAAS shows only for a single object."""
    details: Complete | None = None
    """Further such fields, for a caller who wants all details. They include those of ``complete``."""
    needs: str = ""
    """A filter that the list needs."""
    hidden: bool = False
    """Whether MAAS shows an empty list to users who are no administrators."""
    since: str = ""
    """The first version of MAAS that has the kind; empty for all supported ones."""

    @property
    def nouns(self) -> str:
        """Several objects in a sentence."""
        return self.plural or f"{self.noun}s"
