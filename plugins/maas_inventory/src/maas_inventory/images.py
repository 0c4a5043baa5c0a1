"""Images: which there are, and importing them, which takes MAAS minutes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, Field

from maas_mcp.api import (
    Assessment,
    Listing,
    MaasModel,
    MaasNotFoundError,
    MaasPermissionError,
    MaasProtocolError,
    Milestone,
    RegionOperation,
    Tool,
    ToolContext,
    Verdict,
)

PATH = "boot-resources/"
ROUND = 4
"""How many images that show nothing new are read at each look. The list does not tell of new versions, only each image
does; so an import of 20 images costs 6 requests every ten seconds and one for each image that is on its way, and a new
version is noticed within a minute. All are read at the start and at the end."""


class ImageFile(MaasModel):
    """A file of a version."""

    size: int = Field(default=0, ge=0, lt=2**63)
    complete: bool = False
    progress: float = 0.0
    """Percent; there while the file is not complete."""

    @property
    def there(self) -> float:
        """Bytes that are there."""
        return self.size if self.complete else self.size * min(max(self.progress / 100, 0.0), 1.0)


class ImageVersion(MaasModel):
    """A version of an image, as MAAS calls it a set."""

    complete: bool = False
    files: dict[str, ImageFile] = Field(default_factory=dict)


def _called(known: dict[str, Any]) -> str:
    return f"image {known['id']}"


class BootResource(MaasModel):
    """An image as ``GET boot-resources/{id}/`` shows it; in the list it has no ``sets``."""

    id: int
    name: str = Field(default_factory=_called)
    architecture: str = "unknown"
    type: str = "Synced"
    sets: dict[str, ImageVersion] = Field(default_factory=dict)

    @property
    def not_read(self) -> tuple[str, ...]:
        """The fields of which something cannot be read: an unreadable version or file counts as not complete."""
        parts = [part for one in self.sets.values() for part in (one, *one.files.values())]
        inside = ("sets",) if any(part.unreadable for part in parts) else ()
        return tuple(dict.fromkeys([*self.unreadable, *inside]))

    @property
    def latest(self) -> str | None:
        """The newest version: MAAS names them by their date, ``20260401`` or ``20260401.1``."""
        return max(self.sets, default=None)

    @property
    def complete(self) -> bool:
        """Whether the newest version can be deployed."""
        return self.latest is not None and self.sets[self.latest].complete


class Image(BaseModel):
    """An image."""

    name: str
    architecture: str = Field(description="With the kernel that it belongs to: `amd64/ga-24.04`.")
    type: str = Field(description="`Synced` from a mirror, or `Uploaded`.")
    version: str | None = Field(description="The newest, by its date.")
    complete: bool = Field(description="Whether the newest version is whole.")


class Images(BaseModel):
    """Images, by name and architecture."""

    images: list[Image]
    unreadable: list[str] = Field(
        default=[], description="Images that are left out, and fields that hold a default: MAAS's value is unreadable."
    )


class WhichImages(BaseModel):
    """Which images to list."""

    type: Literal["synced", "uploaded"] | None = Field(
        default=None, description="Only those synced from a mirror, or only those uploaded."
    )


class NoArguments(BaseModel):
    """No arguments: which images are imported is set in MAAS."""


async def listed(ctx: ToolContext, kind: str | None) -> Listing[BootResource]:
    """The images of a kind, without their versions: one request."""
    return BootResource.list_from_response(await ctx.maas.get(PATH, type=kind))


async def read(ctx: ToolContext, images: Iterable[BootResource]) -> Listing[BootResource]:
    """These images with their versions, one request each; one that was deleted meanwhile is missing."""
    answers = []
    for image in images:
        try:
            answers.append(await ctx.maas.get(f"{PATH}{image.id}/"))
        except MaasNotFoundError:
            continue
    return BootResource.list_from_response(answers)


async def all_of(ctx: ToolContext, kind: str | None) -> Images:
    """What a client is shown of the images of a kind: one request, and one for each."""
    there = await listed(ctx, kind)
    images = await read(ctx, there)
    unreadable = [f"{each}, so this image is left out." for each in (*there.left_out, *images.left_out)]
    odd = [(each, ", ".join(f"`{name}`" for name in each.not_read)) for each in images if each.not_read]
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


def told(result: Images) -> str:
    """A line for each image."""
    lines = [
        f"{each.name} {each.architecture}: {each.version or 'no version'}{'' if each.complete else ', incomplete'}"
        for each in result.images
    ]
    return "\n".join([f"{len(lines)} images", *lines, *result.unreadable])


class ListImages(Tool[WhichImages, Images]):
    """List the images that can be deployed, with their newest version and whether it is complete."""

    name = "maas_list_images"
    title = "List images"
    read_only = True

    async def run(self, ctx: ToolContext, args: WhichImages) -> Images:
        """One request, and one for each image."""
        return await all_of(ctx, args.type)

    def summary(self, result: Images) -> str:
        """A line for each image."""
        return told(result)


Version = tuple[int, str]
"""An image's id, and a version of it."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """What one look saw of an import."""

    running: bool
    images: Mapping[int, BootResource]
    """By id; of some of them, what an earlier look saw."""
    turn: int = 0
    """Whose turn it is to be read at the next look."""

    @property
    def versions(self) -> dict[Version, ImageVersion]:
        """All versions of all images."""
        return {(each.id, name): one for each in self.images.values() for name, one in each.sets.items()}

    @property
    def incomplete(self) -> list[BootResource]:
        """Images of which a version is on its way."""
        return [each for each in self.images.values() if not all(one.complete for one in each.sets.values())]

    def as_it_was(self) -> dict[Version, bool]:
        """What can be compared: each version, and whether it is complete."""
        return {key: one.complete for key, one in self.versions.items()}


class ImportImages(RegionOperation[NoArguments, Images, ImportProgress]):
    """Have MAAS import the images that are selected in it from their mirror, and wait until they are complete.

    Takes from seconds, if nothing is new, to an hour. Needs a MAAS administrator. An import that is under way already
    is not started again, because that would break it off. One that somebody stops before anything has come looks like
    one that has found nothing new.
    """

    name = "maas_import_images"
    title = "Import images"
    deadline = timedelta(hours=6)
    idempotent = True

    async def is_running(self, ctx: ToolContext) -> bool:
        """``op=is_importing``."""
        answer = await ctx.maas.get_op(PATH, "is_importing")
        if not isinstance(answer, bool):
            raise MaasProtocolError("MAAS answered op=is_importing with neither true nor false.")
        return answer

    async def start(self, ctx: ToolContext, args: NoArguments) -> None:  # noqa: ARG002 - there are none
        """Post ``op=import``: MAAS 3.7 would break off one that is under way, and begin anew."""
        try:
            await ctx.maas.post_op(PATH, "import")
        except MaasPermissionError as error:
            raise MaasPermissionError(
                "MAAS does not let this user import images (403).",
                hint="It takes the API key of a MAAS administrator.",
                maas_says=error.maas_says,
            ) from None

    async def observe(self, ctx: ToolContext, earlier: ImportProgress | None) -> ImportProgress:
        """All images at the ends of an import; in between those on their way, and :data:`ROUND` of the others."""
        running = await self.is_running(ctx)
        listing = await listed(ctx, "synced")
        there = {each.id: each for each in listing}
        if earlier is None or not running:
            chosen, turn = set(there), 0
        else:
            chosen, turn = _worth_reading(there, earlier)
        news = {each.id: each for each in await read(ctx, [there[number] for number in sorted(chosen)])}
        known = earlier.images if earlier else {}
        numbers = [*there, *(each.identity for each in listing.left_out if isinstance(each.identity, int))]
        images = {number: image for number in numbers if (image := news.get(number) or known.get(number))}
        return ImportProgress(running, images, turn)

    def assess(self, before: ImportProgress | None, earlier: ImportProgress | None, seen: ImportProgress) -> Assessment:
        """Over when MAAS says so; a success when every version is complete by then."""
        if seen.running:
            return Assessment(Verdict.PENDING, _how_far(before, seen))
        if before is not None and earlier is None and seen.as_it_was() == before.as_it_was():
            return Assessment(Verdict.PENDING, Milestone(0.0, "No import shows yet"))
        if seen.incomplete:
            if earlier is None and before is not None:
                return Assessment(Verdict.PENDING, _how_far(before, seen))
            names = ", ".join(_name(each) for each in seen.incomplete)
            return Assessment(Verdict.FAILED, Milestone(None, f"the import is over, but not complete: {names}"))
        return Assessment(Verdict.SUCCEEDED, Milestone(1.0, _ending(before, earlier, seen)))

    async def result(self, ctx: ToolContext) -> Images:
        """The synced images that there are now: one request, and one for each."""
        return await all_of(ctx, "synced")

    async def abort(self, ctx: ToolContext) -> None:
        """Post ``op=stop_import``."""
        await ctx.maas.post_op(PATH, "stop_import")

    def summary(self, result: Images) -> str:
        """A line for each image."""
        return told(result)


def _worth_reading(there: Iterable[int], earlier: ImportProgress) -> tuple[set[int], int]:
    """The images to read while an import runs, and whose turn it is after them."""
    on_their_way = {each.id for each in earlier.incomplete}
    ids = sorted(there)
    new = {number for number in ids if number not in earlier.images}
    others = [number for number in ids if number not in on_their_way | new]
    turn = earlier.turn if earlier.turn < len(others) else 0
    chosen = others[turn : turn + ROUND]
    return (on_their_way & set(ids)) | new | set(chosen), turn + ROUND


def _how_far(before: ImportProgress | None, seen: ImportProgress) -> Milestone:
    """The share of bytes that are there, of the versions that this import brings, or of all where that is not known."""
    old = before.as_it_was() if before else {}
    mine = {key: one for key, one in seen.versions.items() if not old.get(key)}
    files = [file for one in mine.values() for file in one.files.values()]
    total = sum(file.size for file in files)
    if not total or not files:
        return Milestone(0.0, "Importing; nothing new has shown yet")
    fraction = sum(file.there for file in files) / total
    done = sum(one.complete for one in mine.values())
    names = ", ".join(_name(each) for each in seen.incomplete[:2])
    now = f"; now {names}" if names else ""
    return Milestone(fraction, f"Importing images: {done} of {len(mine)} complete{now}")


def _ending(before: ImportProgress | None, earlier: ImportProgress | None, seen: ImportProgress) -> str:
    if before is None and earlier is None:
        return "No import runs any longer, and all images are complete; how it went was not seen"
    if before is None:
        return "The import is over, and all images are complete"
    old = before.as_it_was()
    new = [key for key in seen.versions if not old.get(key)]
    return f"The import is over: {_count(len(new), 'new version')}" if new else "The import is over: nothing was new"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _name(image: BootResource) -> str:
    return f"{image.name} {image.architecture}"
