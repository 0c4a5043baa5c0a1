"""Delete machines from MAAS."""

from maas_configure.machines import MachineArguments, MachineState
from maas_mcp.api import Effects, Tool, ToolContext


class DeletedMachine(MachineState):
    """The machine as it was before it was deleted."""


class DeleteMachine(Tool[MachineArguments, DeletedMachine]):
    """Delete (remove, decommission) a machine from MAAS, with its configuration, history and results.

    Its disks stay as they are. Not possible during an operation. Administrators only.
    """

    name = "maas_delete_machine"
    admin_only = True
    toolset = "machines"
    limit = "delete"
    title = "Delete a machine"
    destructive = True
    idempotent = True

    def effects(self, args: MachineArguments) -> Effects:
        """Also an unused machine loses its record."""
        return Effects((args.system_id,), destroys=True, destroys_idle=True)

    async def run(self, ctx: ToolContext, args: MachineArguments) -> DeletedMachine:
        """Send one ``DELETE``."""
        from maas_configure.changes.deleting import delete_machine  # noqa: PLC0415 - only a call needs it

        return await delete_machine(ctx, args)

    def summary(self, result: DeletedMachine) -> str:
        """The deleted machine in one line."""
        return f"{result.hostname} ({result.system_id}), which was {result.status_name}, is deleted from MAAS."
