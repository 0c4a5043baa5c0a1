"""The tier of a call: whether it reads, changes MAAS, or destroys a machine's workload or data."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from maas_mcp.maas.models import Machine
from maas_mcp.maas.statuses import MachineStatus as S
from maas_mcp.operations.declaring.effects import Effects


class Tier(StrEnum):
    """The most that a call can do, from the least to the most harmful."""

    READ = "read"
    """Nothing changes in MAAS."""
    OPERATE = "operate"
    """Something changes in MAAS, and no workload or data is lost."""
    DESTROY = "destroy"
    """A machine's workload or data is lost."""

    def includes(self, other: "Tier") -> bool:
        """Whether this tier allows everything that ``other`` allows."""
        return _RANKS[self] >= _RANKS[other]


_RANKS: Final = {tier: rank for rank, tier in enumerate(Tier)}

EMPTY: Final = frozenset(
    {
        *(S.NEW, S.COMMISSIONING, S.FAILED_COMMISSIONING, S.MISSING, S.READY, S.RESERVED, S.ALLOCATED),
        *(S.DEPLOYING, S.FAILED_DEPLOYMENT),
    }
)
"""Statuses in which a machine has no workload and no data. A running or failed deployment can be repeated."""
EMPTY_WITHOUT_OWNER: Final = frozenset({S.TESTING, S.FAILED_TESTING, S.BROKEN, S.RETIRED})
"""Statuses that a deployed machine may also have. It keeps its owner in them."""


def in_use(machine: Machine, username: str | None) -> bool:
    """Whether a machine has a workload or data that can be lost, or belongs to another user.

    Args:
        machine: The machine. An unknown status counts as in use.
        username: The caller's MAAS user; ``None`` if unknown.
    """
    if machine.owner is not None and machine.owner != username:
        return True
    empty = machine.status in EMPTY or (machine.owner is None and machine.status in EMPTY_WITHOUT_OWNER)
    return not empty


def tier_of(effects: Effects, machines: Iterable[Machine], username: str | None) -> Tier:
    """The tier of a call with these effects on machines as they are now.

    A destructive call that names no machine, such as one that changes the region, is in the tier ``destroy``.
    """
    lowest = lowest_tier(effects)
    if lowest is not Tier.OPERATE or not effects.destroys:
        return lowest
    names_none = not (effects.machines or effects.operations or effects.allocates)
    return Tier.DESTROY if names_none or any(in_use(each, username) for each in machines) else Tier.OPERATE


def lowest_tier(effects: Effects) -> Tier:
    """The tier of a call with these effects if all its machines are idle."""
    if not effects.changes:
        return Tier.READ
    return Tier.DESTROY if effects.erases or effects.destroys_idle else Tier.OPERATE
