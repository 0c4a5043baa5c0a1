"""Arguments and results that several tools of this plugin share."""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from maas_mcp.api import Machine, MachineText, SystemId


def _check_hostname(name: str) -> str:
    if "." in name:
        raise ValueError("a hostname without its domain is expected; the argument `domain` sets the domain")
    if _LABEL.fullmatch(name) is None:
        raise ValueError("expected up to 63 letters, digits and hyphens, without a hyphen at its start or end")
    return name


_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
"""The names that MAAS accepts for machines."""


SENT: Final = "False if MAAS already showed the change, so that nothing was sent."
ANY_OWNER: Final = "Confirm that you may change another user's machine."

Name = Annotated[str, Field(min_length=1, max_length=255), WithJsonSchema({"type": "string"})]
"""The name of an object of MAAS. The bounds are not published: each tool would repeat them."""
Hostname = Annotated[str, AfterValidator(_check_hostname)]
"""A hostname. MAAS would read a name with dots as hostname and domain."""


class MachineArguments(BaseModel, defer_build=True):
    """A machine."""

    system_id: SystemId


class MachineState(BaseModel, defer_build=True):
    """A machine after the change."""

    system_id: SystemId
    hostname: MachineText
    status_name: str
    owner: str | None
    sent: bool = Field(default=True, description=SENT)

    @classmethod
    def of(cls, machine: Machine, *, sent: bool, **more: object) -> Self:
        """The state of a machine that was read from MAAS, with further fields of the result."""
        own = machine.model_dump(include=set(cls.model_fields) - more.keys())
        return cls.model_validate({**own, **more, "sent": sent})

    def line(self, what: str) -> str:
        """One line for people. ``what`` is what the machine has or is now."""
        if not self.sent:
            return f"{self.hostname} already {what}; nothing was sent to MAAS."
        return f"{self.hostname} now {what}."


def label(machine: Machine) -> str:
    """The machine's hostname and system id: ``node04 (b6f86m)``."""
    return f"{machine.hostname} ({machine.system_id})"
