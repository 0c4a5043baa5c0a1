"""A request that changes something in MAAS, as checks and plans see it just before it is sent."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from maas_mcp.errors import MaasMcpError

BeforeChange = Callable[["ChangeRequest"], Awaitable[None]]
"""Awaited just before a change is sent. It may raise to prevent the request."""

Record = Callable[["ChangeRequest"], None]
"""Receives a change that is not sent, because the call is only rehearsed."""

ALLOCATE: Final = ("machines/", "allocate")
"""The path and operation by which MAAS chooses and allocates a machine."""


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


class RehearsedError(MaasMcpError):
    """A client that only rehearses has recorded a change and not sent it."""

    code = "rehearsed"

    def __init__(self) -> None:
        super().__init__("The request was not sent to MAAS, because the call is only planned.")
