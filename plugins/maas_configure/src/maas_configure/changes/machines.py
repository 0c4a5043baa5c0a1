"""Reads and checks of a machine before it is changed, and the base of its changes."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from maas_configure.machines import label
from maas_mcp.api import (
    MaasClient,
    MaasProtocolError,
    Machine,
    MachineStatus,
    OperationRefusedError,
    SingleChange,
    SystemId,
    ToolContext,
    another_owner,
    check_status,
)

MachineT = TypeVar("MachineT", bound=Machine)


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
