"""The import of images, a region operation for the tests of the core."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from maas_mcp.api import Assessment, Milestone, RegionOperation, ToolContext, Verdict

NOBLE: Final = 4
"""MAAS's id of ubuntu/noble, the only image that is read."""


class NoArguments(BaseModel):
    """No arguments."""


class Versions(BaseModel):
    """The versions of one image."""

    versions: list[str]


@dataclass(frozen=True)
class ImageState:
    """The state of ubuntu/noble, which stands for all images."""

    running: bool
    complete: dict[str, bool]


class Fetch(RegionOperation[NoArguments, Versions, ImageState]):
    """Import images, observed by one of them."""

    name = "maas_fetch"

    async def is_running(self, ctx: ToolContext) -> bool:
        return await ctx.maas.get_op("boot-resources/", "is_importing") is True

    async def start(self, ctx: ToolContext, _args: NoArguments) -> None:
        await ctx.maas.post_op("boot-resources/", "import")

    async def observe(self, ctx: ToolContext, _earlier: ImageState | None) -> ImageState:
        running = await self.is_running(ctx)
        image: Any = await ctx.maas.get(f"boot-resources/{NOBLE}/")
        return ImageState(running, {name: one["complete"] for name, one in image["sets"].items()})

    def assess(self, before: ImageState | None, earlier: ImageState | None, seen: ImageState) -> Assessment:
        if seen.running:
            share = sum(seen.complete.values()) / len(seen.complete)
            return Assessment(Verdict.PENDING, Milestone(share, "Fetching"))
        if earlier is None and before is not None and before.complete == seen.complete:
            return Assessment(Verdict.PENDING, Milestone(0.0, "Not started yet"))
        if not all(seen.complete.values()):
            return Assessment(Verdict.FAILED, Milestone(None, "it was stopped"))
        return Assessment(Verdict.SUCCEEDED, Milestone(1.0, "Over" if earlier or before else "Over, unseen"))

    async def result(self, ctx: ToolContext) -> Versions:
        image: Any = await ctx.maas.get(f"boot-resources/{NOBLE}/")
        return Versions(versions=list(image["sets"]))

    async def abort(self, ctx: ToolContext) -> None:
        await ctx.maas.post_op("boot-resources/", "stop_import")
