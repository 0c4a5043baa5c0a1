"""The effects of a tool call, as its declaration states them."""

from dataclasses import dataclass

from maas_mcp.maas.models import SystemId


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of a tool call, known before it runs."""

    machines: tuple[SystemId, ...] = ()
    """The machines named in the call's arguments."""
    changes: bool = True
    """Whether the call changes anything in MAAS."""
    destroys: bool = False
    """Whether the call may destroy data or interrupt workloads on a machine."""
    erases: bool = False
    """Whether the call erases disks, or may do so. Where the client can be asked, the user confirms it first."""
