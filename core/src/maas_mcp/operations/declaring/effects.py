"""The effects of a tool call, as its declaration states them."""

from dataclasses import dataclass

from maas_mcp.maas.models import SystemId


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of a tool call, known before it runs. The site's policy judges the call by them."""

    machines: tuple[SystemId, ...] = ()
    """The machines named in the call's arguments."""
    changes: bool = True
    """Whether the call changes anything in MAAS."""
    destroys: bool = False
    """Whether the call destroys data or interrupts workloads on a machine that is in use."""
    erases: bool = False
    """Whether the call erases disks, or may do so. Where the client can be asked, the user confirms it first."""
    destroys_idle: bool = False
    """Whether something is lost even if nobody uses the machine, such as its record in MAAS."""
    allocates: int = 0
    """How many machines MAAS chooses for the call, in addition to :attr:`machines`."""
    operations: tuple[str, ...] = ()
    """The ids of operations whose machines the call changes, as the client passed them."""
