"""Software: OS images with their newest versions, their sources, scripts, and package repositories."""

from collections.abc import Mapping
from typing import Final

from maas_inventory.boot_resources import BootResource
from maas_inventory.objects.kind import Kind
from maas_inventory.objects.row import UNSET, Flag, ObjectRow, Whole, taken_from
from maas_inventory.values import JSON
from maas_mcp.api import MachineText, ToolContext


class ListedImage(ObjectRow):
    """An OS image for one architecture and kernel."""

    id: Whole
    name: MachineText = UNSET
    architecture: MachineText = UNSET
    type: MachineText = UNSET
    title: MachineText | None = None
    last_deployed: MachineText | None = None


async def _newest_version(ctx: ToolContext, image: ListedImage) -> Mapping[str, JSON]:
    read = BootResource.from_response(await ctx.maas.get(f"boot-resources/{image.id}/"))
    return {"version": read.latest or "", "complete": read.complete}


async def _versions(ctx: ToolContext, image: ListedImage) -> Mapping[str, JSON]:
    read = BootResource.from_response(await ctx.maas.get(f"boot-resources/{image.id}/"))
    versions = {name: "complete" if one.complete else "incomplete" for name, one in read.sets.items()}
    return {"version": read.latest or "", "complete": read.complete, "versions": versions}


def _script_type(script: Mapping[str, JSON]) -> JSON:
    name = script.get("type_name")
    return name.removesuffix(" script").lower() if isinstance(name, str) else name


class ListedScript(ObjectRow):
    """A script for commissioning, testing or releasing. The scripts of MAAS itself are built in."""

    sources = taken_from(type=_script_type, hardware=("hardware_type_name",), built_in=("default",))

    id: Whole
    name: MachineText = UNSET
    type: MachineText = UNSET
    title: MachineText = UNSET
    hardware: MachineText = UNSET
    tags: list[MachineText] = UNSET
    timeout: MachineText = UNSET
    destructive: Flag = UNSET
    built_in: Flag = UNSET


class ImageSource(ObjectRow):
    """A mirror from which MAAS imports images."""

    label = "url"

    id: Whole
    url: MachineText = UNSET
    updated: MachineText | None = None


class PackageRepository(ObjectRow):
    """A package repository that deployed machines use."""

    id: Whole
    name: MachineText = UNSET
    url: MachineText = UNSET
    enabled: Flag = UNSET
    arches: list[MachineText] = UNSET


SOFTWARE: Final = (
    Kind(
        name="image",
        noun="image",
        row=ListedImage,
        path="boot-resources/",
        complete=_newest_version,
        details=_versions,
    ),
    Kind(name="image_source", noun="image source", row=ImageSource, path="boot-sources/"),
    Kind(name="script", noun="script", row=ListedScript, path="scripts/"),
    Kind(
        name="package_repository",
        noun="package repository",
        plural="package repositories",
        row=PackageRepository,
        path="package-repositories/",
    ),
)
"""The kinds of software."""
