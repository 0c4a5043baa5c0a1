"""The images of the region, as MAAS lists them and with their versions."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from maas_inventory.images import PATH, Image, Images
from maas_mcp.api import Listing, MaasModel, MaasNotFoundError, MachineText, ToolContext


class ImageFile(MaasModel):
    """A file of a version."""

    size: int = Field(default=0, ge=0, lt=2**63)
    complete: bool = False
    progress: float = 0.0
    """Percent. MAAS sends it while the file is incomplete."""

    @property
    def downloaded(self) -> float:
        """Downloaded bytes."""
        return self.size if self.complete else self.size * min(max(self.progress / 100, 0.0), 1.0)


class ImageVersion(MaasModel):
    """A version of an image. MAAS calls it a set."""

    complete: bool = False
    files: dict[str, ImageFile] = Field(default_factory=dict)


def _default_name(known: dict[str, Any]) -> str:
    return f"image {known['id']}"


class BootResource(MaasModel):
    """An image as in ``GET boot-resources/{id}/``. An image in the list has no ``sets``."""

    id: int
    name: MachineText = Field(default_factory=_default_name)
    architecture: MachineText = "unknown"
    type: str = "Synced"
    sets: dict[str, ImageVersion] = Field(default_factory=dict)

    @property
    def title(self) -> str:
        """The image in a sentence."""
        return f"{self.name} {self.architecture}"

    @property
    def unreadable_fields(self) -> tuple[str, ...]:
        """The fields with an unreadable part. An unreadable version or file counts as incomplete."""
        parts = [part for one in self.sets.values() for part in (one, *one.files.values())]
        inside = ("sets",) if any(part.unreadable for part in parts) else ()
        return tuple(dict.fromkeys([*self.unreadable, *inside]))

    @property
    def latest(self) -> str | None:
        """The newest version. MAAS names versions by date: ``20260401`` or ``20260401.1``."""
        return max(self.sets, default=None)

    @property
    def complete(self) -> bool:
        """Whether the newest version can be deployed."""
        return self.latest is not None and self.sets[self.latest].complete


async def list_images(ctx: ToolContext, kind: str | None) -> Listing[BootResource]:
    """List the images of a kind, without their versions, in one request."""
    return BootResource.list_from_response(await ctx.maas.get(PATH, type=kind))


async def read_versions(ctx: ToolContext, images: Iterable[BootResource]) -> Listing[BootResource]:
    """Read the images with their versions, in one request each. An image that was deleted meanwhile is left out."""
    answers = []
    for image in images:
        try:
            answers.append(await ctx.maas.get(f"{PATH}{image.id}/"))
        except MaasNotFoundError:
            continue
    return BootResource.list_from_response(answers)


async def read_images(ctx: ToolContext, kind: str | None) -> Images:
    """Read the result for the images of a kind: one request for the list and one for each image."""
    entries = await list_images(ctx, kind)
    images = await read_versions(ctx, entries)
    unreadable = [f"{each}, so this image is left out." for each in (*entries.left_out, *images.left_out)]
    odd = [
        (each, ", ".join(f"`{name}`" for name in each.unreadable_fields)) for each in images if each.unreadable_fields
    ]
    unreadable += [f"{each.title}: {fields} cannot be read; a default is shown." for each, fields in odd]
    rows = [
        Image(
            name=each.name,
            architecture=each.architecture,
            type=each.type,
            version=each.latest,
            complete=each.complete,
        )
        for each in sorted(images, key=lambda each: (each.name, each.architecture))
    ]
    return Images(images=rows, unreadable=unreadable)
