"""Phrases that several messages share: responses of MAAS, machines and their owners, lists of names.

Texts from machines stand in them quoted.
"""

from collections.abc import Sequence
from typing import Final

from maas_mcp.errors import MaasBadRequestError, MaasError, MaasMcpError
from maas_mcp.maas.limits import MAX_CHANGES
from maas_mcp.maas.models import Machine
from maas_mcp.machine_text import MAX_LINE, MAX_OUTPUT, MAX_QUOTED, cut, quoted, quoted_block

WAITING: Final = f"Waiting to be sent: MAAS receives at most {MAX_CHANGES} requests at a time"
"""The progress message of a request that waits for its turn."""


def answer_of(error: MaasError) -> str:
    """The response of MAAS or a proxy, such as ``MAAS answered 500: "ExitError: exit status 1"``, or the error."""
    if error.status is None:
        return error.message.rstrip(".")
    if error.maas_says is None:
        return f"The response was {error.status}, without a message from MAAS"
    return f"MAAS answered {error.status}: {quoted(error.maas_says.rstrip('.'))}"


def maas_words(error: MaasMcpError) -> str | None:
    """MAAS's own words about an error as a block, or ``None`` if the error's message quotes them completely."""
    said = error.maas_says or ""
    if said and len(said) <= MAX_QUOTED and quoted(said) in error.message:
        return None
    fields = error.fields if isinstance(error, MaasBadRequestError) else {}
    texts = [
        f"{cut(name, MAX_LINE)}: {cut(each, MAX_OUTPUT)}" for name, messages in fields.items() for each in messages
    ]
    lines = texts or [said]
    return quoted_block("MAAS says", "\n".join(lines)) if any(lines) else None


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
