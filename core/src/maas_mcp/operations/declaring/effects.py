"""What a call of a tool would change, as far as its declaration says."""

from dataclasses import dataclass

from maas_mcp.maas.models import SystemId


@dataclass(frozen=True, slots=True)
class Effects:
    """What a call would change."""

    machines: tuple[SystemId, ...] = ()
    """The machines that its arguments name."""
    changes: bool = True
    """Whether it changes anything in MAAS."""
    destroys: bool = False
    """Whether it may destroy data or interrupt what runs on a machine."""
