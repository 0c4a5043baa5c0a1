"""Complete system ids by hostname, images, zones, pools and tags."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from maas_inventory.lifespan import InventorySettings
from maas_mcp.api import Choice, Completion, ToolContext

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Informer

PATIENCE: Final = 5.0
"""Seconds that a user who types waits for the informer's first list."""


async def read_names(ctx: ToolContext, kind: str) -> list[str]:
    """Read the names of all objects of a kind, sorted."""
    from maas_inventory.objects.catalogue import KINDS  # noqa: PLC0415 - its models take a hundredth of the start-up
    from maas_inventory.objects.reading import read_objects  # noqa: PLC0415 - as the kinds, only a call needs it

    return sorted(row.display_name for row in (await read_objects(ctx, KINDS[kind])).rows)


class SystemIds(Completion):
    """System ids, found by hostname or FQDN too."""

    arguments = ("system_id",)

    async def choices(self, ctx: "ToolContext[InventorySettings, Informer]") -> Sequence[Choice | str]:
        """Use the informer's machines. While it does not know all of them, some are missing."""
        rows = (await ctx.state.query(patience=PATIENCE)).rows
        rows = sorted(rows, key=lambda row: row.hostname)
        return [Choice(each.system_id, tuple(filter(None, (each.hostname, each.fqdn)))) for each in rows]


class Images(Completion):
    """Names of images, found by their release too: ``noble`` for ``ubuntu/noble``."""

    arguments = ("distro_series", "image")

    async def choices(self, ctx: ToolContext) -> Sequence[Choice | str]:
        """Send one ``GET boot-resources/``."""
        from maas_inventory.boot_resources import list_images  # noqa: PLC0415 - only a call needs it

        names = sorted({each.name for each in await list_images(ctx, None)})
        return [Choice(name, (name.rpartition("/")[2],)) for name in names]


class Zones(Completion):
    """Names of availability zones."""

    arguments = ("zone",)

    async def choices(self, ctx: ToolContext) -> Sequence[Choice | str]:
        """Send one ``GET zones/``."""
        return await read_names(ctx, "zone")


class Pools(Completion):
    """Names of resource pools."""

    arguments = ("pool",)

    async def choices(self, ctx: ToolContext) -> Sequence[Choice | str]:
        """Send one ``GET resourcepools/``."""
        return await read_names(ctx, "pool")


class Tags(Completion):
    """Names of tags."""

    arguments = ("tag", "tags")

    async def choices(self, ctx: ToolContext) -> Sequence[Choice | str]:
        """Send one ``GET tags/``."""
        return await read_names(ctx, "tag")


COMPLETIONS = (SystemIds, Images, Zones, Pools, Tags)
