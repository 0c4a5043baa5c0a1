"""The progress of an import of images: the images that each poll reads, and the verdict on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from maas_inventory.boot_resources import BootResource, ImageVersion, list_images, read_versions
from maas_mcp.api import Assessment, Milestone, ToolContext, Verdict

UNCHANGED_PER_POLL = 4
"""Unchanged images that each poll reads during an import. The image list does not show new versions, only the image
itself does. A poll of 20 images takes 6 requests every ten seconds, plus one for each incomplete image, and a new
version shows within a minute. The first and the last poll read all images."""

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


async def read_progress(ctx: ToolContext, earlier: ImportProgress | None, *, running: bool) -> ImportProgress:
    """Read all images at the first and last poll; otherwise the incomplete ones and a few of the others."""
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


def assess(before: ImportProgress | None, earlier: ImportProgress | None, seen: ImportProgress) -> Assessment:
    """Pending until MAAS reports the end; then a success if every version is complete."""
    if seen.running:
        return Assessment(Verdict.PENDING, _measure(before, seen))
    if before is not None and earlier is None and seen.completeness() == before.completeness():
        return Assessment(Verdict.PENDING, Milestone(0.0, "The import has not started yet"))
    if seen.incomplete:
        if earlier is None and before is not None:
            return Assessment(Verdict.PENDING, _measure(before, seen))
        names = ", ".join(each.title for each in seen.incomplete)
        return Assessment(
            Verdict.FAILED, Milestone(None, f"the import has ended, but these images are incomplete: {names}")
        )
    return Assessment(Verdict.SUCCEEDED, Milestone(1.0, _describe_end(before, earlier, seen)))


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
    names = ", ".join(each.title for each in seen.incomplete[:2])
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
