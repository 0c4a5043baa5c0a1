"""Phrases that several messages share: what MAAS answered, whose a machine is, and lists of names."""

from collections.abc import Sequence
from typing import Final

from maas_mcp.errors import MaasError
from maas_mcp.maas.limits import MAX_CHANGES
from maas_mcp.maas.models import Machine

WAITING: Final = f"Not sent yet: MAAS is sent {MAX_CHANGES} requests at a time"
"""Said of a request that waits for its turn."""


def answer_of(error: MaasError) -> str:
    """What MAAS, or a proxy, answered: ``MAAS answered 500: ExitError: exit status 1``; else why there is no answer."""
    if error.status is None:
        return error.message.rstrip(".")
    if error.maas_says is None:
        return f"The answer was {error.status}, without MAAS's own words"
    return f"MAAS answered {error.status}: {error.maas_says.rstrip('.')}"


def named(machine: Machine) -> str:
    """The machine by both of its names: ``node04 (b6f86m)``."""
    return f"{machine.hostname} ({machine.system_id})"


def state_of(machine: Machine) -> str:
    """Its status and whose it is: ``Deployed for bob``."""
    return f"{machine.status_name} for {machine.owner}" if machine.owner else machine.status_name


def listed(names: Sequence[str]) -> str:
    """The names as a phrase: ``sda``, ``sda and sdb``, ``sda, sdb and sdc``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
