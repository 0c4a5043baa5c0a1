"""The tool that lists machines from the informer's snapshot."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from maas_inventory.arguments import Limit
from maas_inventory.machines.fields import NAMING, FieldName, SortField
from maas_inventory.machines.filtering import MachineFilter
from maas_inventory.values import in_words
from maas_mcp.api import CarriesMachineText, Tool, ToolContext, quoted

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Informer


Item = Annotated[dict[str, Any], CarriesMachineText()]


class ListArguments(MachineFilter):
    """The machines to list, and how."""

    sort: SortField = Field(default="hostname", description="A field; with a minus sign in reverse.")
    fields: list[FieldName] | None = Field(default=None, description="To show, such as `mac_addresses` or `storage`.")
    count_by: list[FieldName] | None = Field(default=None, description="Count the matches by these fields.")
    fresh: bool = Field(default=False, description="Read the page's machines again.")
    limit: Limit = 50
    cursor: str | None = Field(default=None, description="`next_cursor` of a page.")


class MachinePage(BaseModel, defer_build=True):
    """A page of the machines that match."""

    machines: list[Item] = Field(
        description="Fields without a value are left out. `memory` and `storage` are in megabytes."
    )
    total: int = Field(description="Matching machines on all pages.")
    counts: Annotated[dict[str, dict[str, int]], CarriesMachineText()] = Field(
        default={}, description="Matches by field and value."
    )
    next_cursor: str | None = None
    complete: bool = Field(default=True, description="False while MAAS's machines are still being read.")
    as_of: datetime = Field(description="Changes up to this time are shown, if MAAS wrote an event about them.")
    oldest_row_seconds: int | None = Field(
        default=None, description="Changes without an event, such as of tags, may be older than this and missing."
    )
    resync_seconds: int = Field(description="Within this time, all changes without an event show.")
    hint: str | None = Field(default=None, description="Possible problem with the filters.")
    unreadable: list[str] = Field(
        default=[],
        description="Machines left out and fields with a default, because MAAS's value is unreadable.",
    )


class ListMachines(Tool[ListArguments, MachinePage]):
    """List (find, search, count) machines: which nodes, servers, boxes are free (idle, Ready), broken or failed.

    Filters by owner, zone, pool, tag (such as one for each rack), CPUs, memory and more. `count_by` counts the
    matches, such as how many machines each user owns.
    """

    name = "maas_list_machines"
    toolset = "inventory"
    list_position = 10
    offers = "machines read"
    title = "List machines"
    read_only = True

    async def run(self, ctx: ToolContext[Any, "Informer"], args: ListArguments) -> MachinePage:
        """Send no request, once the informer has read all machines; `fresh` sends one."""
        from maas_inventory.machines.pages import read_page  # noqa: PLC0415 - only a call needs it

        return await read_page(ctx, args)

    def summary(self, result: MachinePage) -> str:
        """One line for each machine, each count and each problem."""
        lines = [_line(item) for item in result.machines]
        counts = [f"By {name}: {_counted(values)}" for name, values in result.counts.items()]
        problems = [*result.unreadable, *([result.hint] if result.hint else [])]
        more = [f"The next page has the cursor {result.next_cursor}"] if result.next_cursor else []
        head = f"{len(lines)} of {result.total} machines as of {result.as_of:%Y-%m-%d %H:%M:%S} UTC"
        return "\n".join([head, *counts, *lines, *problems, *more])


def _line(item: Mapping[str, Any]) -> str:
    rest = (f"{name} {in_words(value)}" for name, value in item.items() if name not in NAMING)
    return f"{item['system_id']} {quoted(item['hostname'])}: {', '.join(rest)}"


def _counted(values: Mapping[str, int]) -> str:
    return ", ".join(f"{quoted(name)} {number}" for name, number in values.items())
