"""Import OS images into the region, with progress."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, Field

from maas_mcp.api import (
    Assessment,
    Listing,
    MaasModel,
    MaasNotFoundError,
    MaasPermissionError,
    MaasProtocolError,
    MachineText,
    Milestone,
    RegionOperation,
    ToolContext,
    Verdict,
)

PATH = "boot-resources/"
UNCHANGED_PER_POLL = 4
"""Unchanged images that each poll reads during an import. The image list does not show new versions, only the image
itself does. A poll of 20 images takes 6 requests every ten seconds, plus one for each incomplete image, and a new
version shows within a minute. The first and the last poll read all images."""


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
    unreadable += [f"{_name(each)}: {fields} cannot be read; a default is shown." for each, fields in odd]
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


def format_images(result: Images) -> str:
    """One line for each image."""
    lines = [
        f"{each.name} {each.architecture}: {each.version or 'no version'}{'' if each.complete else ', incomplete'}"
        for each in result.images
    ]
    return "\n".join([f"{len(lines)} images", *lines, *result.unreadable])


Version = tuple[int, str]
"""An image's id and the name of one of its versions."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """The state of an import at one poll."""

    running: bool
    images: Mapping[int, BootResource]
    """By id. Some of them come from an earlier poll."""
    next_index: int = 0
    """The first unchanged image that the next poll reads."""

    @property
    def versions(self) -> dict[Version, ImageVersion]:
        """All versions of all images."""
        return {(each.id, name): one for each in self.images.values() for name, one in each.sets.items()}

    @property
    def incomplete(self) -> list[BootResource]:
        """Images with an incomplete version."""
        return [each for each in self.images.values() if not all(one.complete for one in each.sets.values())]

    def completeness(self) -> dict[Version, bool]:
        """Whether each version is complete, to compare two polls."""
        return {key: one.complete for key, one in self.versions.items()}


class ImportImages(RegionOperation[NoArguments, Images, ImportProgress]):
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

    async def observe(self, ctx: ToolContext, earlier: ImportProgress | None) -> ImportProgress:
        """Read all images at the first and last poll; otherwise the incomplete ones and a few of the others."""
        running = await self.is_running(ctx)
        listing = await list_images(ctx, "synced")
        by_id = {each.id: each for each in listing}
        if earlier is None or not running:
            chosen, next_index = set(by_id), 0
        else:
            chosen, next_index = _images_to_read(by_id, earlier)
        news = {each.id: each for each in await read_versions(ctx, [by_id[number] for number in sorted(chosen)])}
        known = earlier.images if earlier else {}
        numbers = [*by_id, *(each.identity for each in listing.left_out if isinstance(each.identity, int))]
        images = {number: image for number in numbers if (image := news.get(number) or known.get(number))}
        return ImportProgress(running, images, next_index)

    def assess(self, before: ImportProgress | None, earlier: ImportProgress | None, seen: ImportProgress) -> Assessment:
        """Pending until MAAS reports the end; then a success if every version is complete."""
        if seen.running:
            return Assessment(Verdict.PENDING, _measure(before, seen))
        if before is not None and earlier is None and seen.completeness() == before.completeness():
            return Assessment(Verdict.PENDING, Milestone(0.0, "The import has not started yet"))
        if seen.incomplete:
            if earlier is None and before is not None:
                return Assessment(Verdict.PENDING, _measure(before, seen))
            names = ", ".join(_name(each) for each in seen.incomplete)
            return Assessment(
                Verdict.FAILED, Milestone(None, f"the import has ended, but these images are incomplete: {names}")
            )
        return Assessment(Verdict.SUCCEEDED, Milestone(1.0, _describe_end(before, earlier, seen)))

    async def result(self, ctx: ToolContext) -> Images:
        """Read the synced images."""
        return await read_images(ctx, "synced")

    async def abort(self, ctx: ToolContext) -> None:
        """Post ``op=stop_import``."""
        await ctx.maas.post_op(PATH, "stop_import")

    def summary(self, result: Images) -> str:
        """One line for each image."""
        return format_images(result)


def _images_to_read(image_ids: Iterable[int], earlier: ImportProgress) -> tuple[set[int], int]:
    """The images that a poll reads during an import, and the index for the next poll."""
    incomplete = {each.id for each in earlier.incomplete}
    ids = sorted(image_ids)
    new = {number for number in ids if number not in earlier.images}
    others = [number for number in ids if number not in incomplete | new]
    start = earlier.next_index if earlier.next_index < len(others) else 0
    chosen = others[start : start + UNCHANGED_PER_POLL]
    return (incomplete & set(ids)) | new | set(chosen), start + UNCHANGED_PER_POLL


def _measure(before: ImportProgress | None, seen: ImportProgress) -> Milestone:
    """The downloaded share of the versions in this import, or of all versions if the state before is unknown."""
    old = before.completeness() if before else {}
    mine = {key: one for key, one in seen.versions.items() if not old.get(key)}
    files = [file for one in mine.values() for file in one.files.values()]
    total = sum(file.size for file in files)
    if not total or not files:
        return Milestone(0.0, "Importing; no new versions yet")
    fraction = sum(file.downloaded for file in files) / total
    done = sum(one.complete for one in mine.values())
    names = ", ".join(_name(each) for each in seen.incomplete[:2])
    now = f"; now {names}" if names else ""
    return Milestone(fraction, f"Importing images: {done} of {len(mine)} complete{now}")


def _describe_end(before: ImportProgress | None, earlier: ImportProgress | None, seen: ImportProgress) -> str:
    if before is None and earlier is None:
        return "No import is running, and all images are complete; the end of the import was not observed"
    if before is None:
        return "The import has ended, and all images are complete"
    old = before.completeness()
    new = [key for key in seen.versions if not old.get(key)]
    return f"The import has ended: {_count(len(new), 'new version')}" if new else "The import has ended: nothing new"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _name(image: BootResource) -> str:
    return f"{image.name} {image.architecture}"
