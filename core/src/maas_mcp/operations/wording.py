"""Phrases that several messages share: responses of MAAS, machines and their owners, lists of names."""

from collections.abc import Sequence
from typing import Final

from maas_mcp.errors import MaasError
from maas_mcp.maas.limits import MAX_CHANGES
from maas_mcp.maas.models import Machine

WAITING: Final = f"Waiting to be sent: MAAS receives at most {MAX_CHANGES} requests at a time"
"""The progress message of a request that waits for its turn."""


def answer_of(error: MaasError) -> str:
    """The response of MAAS or a proxy, such as ``MAAS answered 500: ExitError: exit status 1``, or the error."""
    if error.status is None:
        return error.message.rstrip(".")
    if error.maas_says is None:
        return f"The response was {error.status}, without a message from MAAS"
    return f"MAAS answered {error.status}: {error.maas_says.rstrip('.')}"


def named(machine: Machine) -> str:
    """The machine's hostname and system id: ``node04 (b6f86m)``."""
    return f"{machine.hostname} ({machine.system_id})"


def state_of(machine: Machine) -> str:
    """The machine's status and owner: ``Deployed for bob``."""
    return f"{machine.status_name} for {machine.owner}" if machine.owner else machine.status_name


def listed(names: Sequence[str]) -> str:
    """The names as a phrase: ``sda``, ``sda and sdb``, ``sda, sdb and sdc``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
