"""A request that changes something in MAAS, as checks and plans see it just before it is sent."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from maas_mcp.errors import MaasMcpError
from maas_mcp.maas.models import SystemId

BeforeChange = Callable[["ChangeRequest"], Awaitable[None]]
"""Awaited just before a change is sent. It may raise to prevent the request."""

Record = Callable[["ChangeRequest"], None]
"""Receives a change that is not sent, because the call is only rehearsed."""

ALLOCATE: Final = ("machines/", "allocate")
"""The path and operation by which MAAS chooses and allocates a machine."""
_MACHINE: Final = re.compile(r"(?:machines|nodes|devices)/([a-z0-9]{1,41})/")
_ID: Final = re.compile(r"[a-z0-9]{6}")
_ID_PARAMETERS: Final = frozenset({"machines", "nodes", "system_id", "system_ids", "add", "remove"})
"""Parameters with system ids, such as ``machines`` of ``machines/?op=release`` and ``remove`` of a tag."""


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """A request that changes something in MAAS, just before it is sent."""

    method: str
    """``POST``, ``PUT`` or ``DELETE``."""
    path: str
    """The path below ``/MAAS/api/2.0/``, such as ``machines/4y3h7n/``."""
    op: str | None
    """The named operation, such as ``deploy``; ``None`` for an edit, a new object or a deletion."""
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values as MAAS receives them. A name may repeat, and values may be secret."""

    @property
    def is_dry_run(self) -> bool:
        """Whether it only asks which machine MAAS would allocate."""
        return (self.path, self.op) == ALLOCATE and ("dry_run", "true") in self.parameters

    @property
    def system_ids(self) -> tuple[SystemId, ...]:
        """The machines in the path and the parameters. Other words of six letters and digits may be among them."""
        in_path = _MACHINE.match(self.path)
        named = [value for name, value in self.parameters if name in _ID_PARAMETERS]
        words = [word for value in named for word in re.split(r"[,\s]+", value) if _ID.fullmatch(word)]
        return tuple(dict.fromkeys([in_path[1], *words] if in_path else words))


class RehearsedError(MaasMcpError):
    """A client that only rehearses has recorded a change and not sent it."""

    code = "rehearsed"

    def __init__(self) -> None:
        super().__init__("The request was not sent to MAAS, because the call is only planned.")
