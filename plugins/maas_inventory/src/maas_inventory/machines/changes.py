"""The tool that shows what changed: statuses, owners and other fields, machines that came and machines that went."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from maas_inventory.arguments import Limit
from maas_inventory.machines.fields import FieldName
from maas_inventory.times import Moment
from maas_inventory.values import in_words
from maas_mcp.api import CarriesMachineText, Tool, ToolContext, quoted

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Informer


Change = Annotated[dict[str, Any], CarriesMachineText()]


class Period(BaseModel, defer_build=True):
    """The changes to show."""

    since: Moment | None = Field(default=None, description="Time, or `12h` for 12 hours ago. Default: an hour ago.")
    fields: list[FieldName] | None = Field(default=None, description="Only changes of these fields.")
    limit: Limit = 50
    cursor: str | None = Field(default=None, description="`cursor` of an earlier answer: only what changed after it.")


class ChangePage(BaseModel, defer_build=True):
    """What changed, one item for each machine."""

    changes: list[Change] = Field(description="Last change last; each field has its old and its new value.")
    more: bool = Field(description="Whether the same call with `cursor` shows more now.")
    cursor: str
    hint: str | None = None


class WhatChanged(Tool[Period, ChangePage]):
    """Show what changed on the machines since a time or a cursor: statuses, owners, which machines came and went."""

    name = "maas_what_changed"
    toolset = "inventory"
    list_position = 28
    title = "Show what changed"
    read_only = True

    async def run(self, ctx: ToolContext[Any, "Informer"], args: Period) -> ChangePage:
        """Send no request for the time in which the informer runs, and at most five for events before it."""
        from maas_inventory.machines.net_changes import read_changes  # noqa: PLC0415 - only a call needs it

        return await read_changes(ctx, args)

    def summary(self, result: ChangePage) -> str:
        """One line for each machine."""
        lines = [_line(item) for item in result.changes]
        more = "The next page has" if result.more else "For later changes, pass"
        return "\n".join([*lines, *([result.hint] if result.hint else []), f"{more} the cursor {result.cursor}"])


def _line(item: Mapping[str, Any]) -> str:
    changed = (
        f"{name} from {in_words(old)} to {in_words(new)}" for name, (old, new) in item.get("changed", {}).items()
    )
    return f"{item['at']} {quoted(item['hostname'])} ({item['system_id']}): {', '.join([item['kind'], *changed])}"
