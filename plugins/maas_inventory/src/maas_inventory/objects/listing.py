"""The tool that lists objects of one kind, page by page."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, WithJsonSchema

from maas_inventory.arguments import Limit, Text
from maas_inventory.objects.kind_names import KindName
from maas_inventory.values import JSON, in_words
from maas_mcp.api import CarriesMachineText, Tool, ToolContext

if TYPE_CHECKING:
    from maas_inventory.objects.kind import Kind

FilterValue = Annotated[str | int | bool, WithJsonSchema({"type": "string"})]
Item = Annotated[dict[str, Any], CarriesMachineText()]


class ObjectFilter(BaseModel, defer_build=True):
    """The objects to list."""

    kind: KindName
    name: Text | None = Field(default=None, description="Name, id or CIDR; globs.")
    filters: dict[str, FilterValue] | None = Field(
        default=None, description="Fields of the items, such as `fabric`, `space` or `type`; globs."
    )
    sort: str | None = Field(default=None, description="A field; a leading - reverses.")
    details: bool = Field(default=False, description="All fields of each object.")
    limit: Limit = 50
    cursor: str | None = Field(default=None, description="`next_cursor` of a page.")


class ObjectPage(BaseModel, defer_build=True):
    """A page of objects."""

    kind: str
    items: list[Item] = Field(description="Fields without a value are left out.")
    total: int = Field(description="Matching objects on all pages.")
    next_cursor: str | None = None
    hint: str | None = None
    unreadable: list[str] = Field(default=[], description="Objects left out and fields that MAAS's JSON lacks.")


class ListObjects(Tool[ObjectFilter, ObjectPage]):
    """List (show, find, count) what exists other than machines, such as subnets with their free IP addresses.

    Also fabrics, VLANs, spaces, zones, resource pools, tags, Ubuntu and other images that can be deployed, rack
    controllers and services, VM hosts, DNS domains, devices, users, scripts. `details` shows free ranges. `ip_address`
    needs the filter `subnet`.
    """

    name = "maas_list_objects"
    toolset = "inventory"
    list_position = 25
    title = "List objects"
    read_only = True

    async def run(self, ctx: ToolContext, args: ObjectFilter) -> ObjectPage:
        """Send one request for the list, and for subnets and images one for each row of the page."""
        from maas_inventory.objects.pages import read_page  # noqa: PLC0415 - only a call needs it

        return await read_page(ctx, args)

    def summary(self, result: ObjectPage) -> str:
        """One line for each object and for each problem."""
        kind = kind_of(result.kind)
        lines = [_line(kind, item) for item in result.items]
        problems = [*result.unreadable, *([result.hint] if result.hint else [])]
        more = [f"The next page has the cursor {result.next_cursor}"] if result.next_cursor else []
        return "\n".join([f"{len(lines)} of {result.total} {kind.nouns}", *lines, *problems, *more])


def kind_of(name: str) -> "Kind":
    """Return the kind of this name."""
    from maas_inventory.objects.catalogue import KINDS  # noqa: PLC0415 - its models take a hundredth of the start-up

    return KINDS[name]


def _line(kind: "Kind", item: dict[str, JSON]) -> str:
    head = item.get(kind.row.label, item.get(kind.row.identity))
    rest = [f"{name} {in_words(value)}" for name, value in item.items() if name != kind.row.label]
    return f"{in_words(head)}: {', '.join(rest)}"
