"""Arguments, results and checks that several tools of this plugin share."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final, Self, TypeVar

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from maas_mcp.api import (
    MaasClient,
    MaasProtocolError,
    Machine,
    MachineStatus,
    MachineText,
    OperationRefusedError,
    SingleChange,
    SystemId,
    ToolContext,
    another_owner,
    check_status,
)


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
MachineT = TypeVar("MachineT", bound=Machine)


class MachineArguments(BaseModel):
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


async def read_machine(maas: MaasClient, system_id: SystemId, model: type[MachineT]) -> MachineT:
    """Read one machine with more fields than ``maas.machine`` reads.

    Raises:
        MaasProtocolError: The response describes another machine.
    """
    machine = model.from_response(await maas.get(f"machines/{system_id}/"))
    if machine.system_id != system_id:
        raise MaasProtocolError(f"MAAS returned another machine than the requested {system_id}.")
    return machine


@dataclass(frozen=True)
class MachineChange(SingleChange[MachineT]):
    """A change of a machine that a read of the machine shows."""

    before: MachineT

    async def read(self, maas: MaasClient) -> MachineT:
        """The machine, with the same fields as before."""
        return await read_machine(maas, self.before.system_id, type(self.before))

    def target(self) -> str:
        """The machine."""
        return label(self.before)


async def check_changeable(
    ctx: ToolContext,
    machine: Machine,
    statuses: Collection[MachineStatus] | None = None,
    *,
    to: str,
    any_owner: bool | None = None,
) -> None:
    """Check that a machine, as it was just read, may be changed.

    Args:
        ctx: The tool's services.
        machine: The machine.
        statuses: The statuses in which MAAS allows it; ``None`` for all.
        to: The change, for messages: ``be edited``.
        any_owner: The tool's argument that confirms a change of another user's machine; ``None`` if it has none.

    Raises:
        OperationRefusedError: The machine is locked, has another status, or belongs to another user.
    """
    await check_status(ctx, machine, statuses, to=to)
    if any_owner is True:
        return
    if owner := await another_owner(ctx.maas, machine):
        confirm = "" if any_owner is None else " To change it anyway, call again with any_owner: true."
        raise OperationRefusedError(
            f"{label(machine)} belongs to {owner}, so it cannot {to}. Nothing was sent to MAAS.",
            hint=f"Ask {owner} first.{confirm}",
        )
