"""Replace a machine's storage configuration by one of MAAS's layouts."""

from typing import Literal

from pydantic import BaseModel, Field

from maas_configure.machines import MachineArguments, MachineState, Name
from maas_mcp.api import MachineText, Tool, ToolContext


class SetLayout(MachineArguments):
    """A machine and a layout."""

    storage_layout: Literal["flat", "lvm", "bcache", "vmfs6", "vmfs7", "custom", "blank"] = Field(
        description="`blank`: nothing configured; `custom`: from commissioning."
    )
    root_device: Name | None = Field(default=None, description="Disk, such as `sda`; by default the boot disk.")


class FilesystemRow(BaseModel, defer_build=True):
    """A disk, volume or partition with a filesystem."""

    path: MachineText
    size: int = Field(description="Bytes.")
    fstype: MachineText
    mount_point: MachineText | None


class LaidOutMachine(MachineState):
    """A machine with its new storage configuration."""

    filesystems: list[FilesystemRow]


class SetStorageLayout(Tool[SetLayout, LaidOutMachine]):
    """Set the storage layout (partitioning: flat, LVM, bcache, VMFS) of a Ready machine for its next deployment.

    Deletes its present storage configuration: partitions, RAIDs and volume groups. Administrators only.
    """

    name = "maas_set_storage_layout"
    admin_only = True
    toolset = "storage"
    title = "Set a machine's storage layout"
    destructive = True
    idempotent = True

    async def run(self, ctx: ToolContext, args: SetLayout) -> LaidOutMachine:
        """Post ``op=set_storage_layout``. MAAS does not show which layout a machine has."""
        from maas_configure.changes.storage import set_storage_layout  # noqa: PLC0415 - only a call needs it

        return await set_storage_layout(ctx, args)

    def summary(self, result: LaidOutMachine) -> str:
        """The filesystems in one line."""
        rows = [f"{each.path} ({each.fstype}) at {each.mount_point or 'no mount point'}" for each in result.filesystems]
        return result.line(f"has {', '.join(rows) or 'no filesystems'}")
