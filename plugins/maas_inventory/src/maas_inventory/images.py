"""Import OS images into the region, with progress."""

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from maas_mcp.api import Assessment, MaasPermissionError, MaasProtocolError, MachineText, RegionOperation, ToolContext

if TYPE_CHECKING:
    from maas_inventory.import_progress import ImportProgress

PATH = "boot-resources/"


class Image(BaseModel, defer_build=True):
    """An image."""

    name: MachineText
    architecture: MachineText = Field(description="With its kernel: `amd64/ga-24.04`.")
    type: str = Field(description="`Synced` from a mirror, or `Uploaded`.")
    version: MachineText | None = Field(description="Newest version, by date.")
    complete: bool = Field(description="Whether the newest version is complete and can be deployed.")


class Images(BaseModel, defer_build=True):
    """Images, by name and architecture."""

    images: list[Image]
    unreadable: list[str] = Field(
        default=[], description="Images left out and fields with a default, because MAAS's value is unreadable."
    )


class NoArguments(BaseModel, defer_build=True):
    """No arguments: MAAS's image selection decides what is imported."""


def format_images(result: Images) -> str:
    """One line for each image."""
    lines = [
        f"{each.name} {each.architecture}: {each.version or 'no version'}{'' if each.complete else ', incomplete'}"
        for each in result.images
    ]
    return "\n".join([f"{len(lines)} images", *lines, *result.unreadable])


class ImportImages(RegionOperation[NoArguments, Images, "ImportProgress"]):
    """Import (download, sync, update) the images selected in MAAS from their mirror, and wait until complete.

    Takes seconds if nothing is new, up to an hour otherwise. Administrators only.
    """

    name = "maas_import_images"
    list_position = 56
    toolset = "images"
    admin_only = True
    title = "Import images"
    typical = timedelta(minutes=20)
    deadline = timedelta(hours=6)
    idempotent = True

    async def is_running(self, ctx: ToolContext) -> bool:
        """Read ``op=is_importing``."""
        answer = await ctx.maas.get_op(PATH, "is_importing")
        if not isinstance(answer, bool):
            raise MaasProtocolError("MAAS answered op=is_importing with neither true nor false.")
        return answer

    async def start(self, ctx: ToolContext, args: NoArguments) -> None:  # noqa: ARG002 - there are none
        """Post ``op=import``. MAAS 3.7 would abort a running import and restart it."""
        try:
            await ctx.maas.post_op(PATH, "import")
        except MaasPermissionError as error:
            raise MaasPermissionError(
                "MAAS does not allow this user to import images (403).",
                hint="Use the API key of a MAAS administrator.",
                maas_says=error.maas_says,
            ) from None

    async def observe(self, ctx: ToolContext, earlier: "ImportProgress | None") -> "ImportProgress":
        """Read all images at the first and last poll; otherwise the incomplete ones and a few of the others."""
        from maas_inventory.import_progress import read_progress  # noqa: PLC0415 - only an import needs it

        return await read_progress(ctx, earlier, running=await self.is_running(ctx))

    def assess(
        self, before: "ImportProgress | None", earlier: "ImportProgress | None", seen: "ImportProgress"
    ) -> Assessment:
        """Pending until MAAS reports the end; then a success if every version is complete."""
        from maas_inventory.import_progress import assess  # noqa: PLC0415 - only an import needs it

        return assess(before, earlier, seen)

    async def result(self, ctx: ToolContext) -> Images:
        """Read the synced images."""
        from maas_inventory.boot_resources import read_images  # noqa: PLC0415 - only an import needs it

        return await read_images(ctx, "synced")

    async def abort(self, ctx: ToolContext) -> None:
        """Post ``op=stop_import``."""
        await ctx.maas.post_op(PATH, "stop_import")

    def summary(self, result: Images) -> str:
        """One line for each image."""
        return format_images(result)
