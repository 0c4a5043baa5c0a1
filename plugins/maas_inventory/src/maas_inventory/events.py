"""The tool that lists the events of one machine or of all machines, newest first."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from maas_inventory.arguments import Limit, Text
from maas_inventory.times import Moment
from maas_mcp.api import MachineText, Tool, ToolContext, quoted

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Informer

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "AUDIT"]


class EventFilter(BaseModel, defer_build=True):
    """The events to list."""

    machine: Text | None = Field(default=None, description="System id, hostname or FQDN. Default: all machines.")
    level: Level = Field(default="INFO", description="The lowest; `DEBUG` for status changes.")
    since: Moment | None = Field(default=None, description="Time, or `12h` for 12 hours ago.")
    until: Moment | None = None
    text: Text | None = Field(default=None, description="In the type or description.")
    user: Text | None = Field(default=None, description="Who caused them.")
    limit: Limit = 50
    cursor: str | None = Field(default=None, description="`next_cursor` of a page.")


class EventRow(BaseModel, defer_build=True):
    """An event."""

    id: int
    at: str | None
    hostname: MachineText | None
    level: str
    type: MachineText
    description: MachineText | None
    user: str | None = Field(description="Null for MAAS itself.")


class EventPage(BaseModel, defer_build=True):
    """A page of events."""

    events: list[EventRow] = Field(description="Newest first. Times are UTC.")
    next_cursor: str | None = None
    hint: str | None = None
    unreadable: list[str] = Field(default=[], description="Events left out, because MAAS's JSON is unreadable.")


class GetEvents(Tool[EventFilter, EventPage]):
    """Get (list, show, search) the event log: what happened to a machine (node), when, and who did it.

    The latest come first. `level` selects errors and warnings.
    """

    name = "maas_get_events"
    toolset = "inventory"
    list_position = 26
    title = "Get events"
    read_only = True

    async def run(self, ctx: "ToolContext[Any, Informer]", args: EventFilter) -> EventPage:
        """Send at most 25 requests for events; for the machine usually none."""
        from maas_inventory.event_search import find_events  # noqa: PLC0415 - only a call needs it

        return await find_events(ctx, args)

    def summary(self, result: EventPage) -> str:
        """One line for each event and for each problem."""
        lines = [_line(each) for each in result.events]
        more = [f"The next page has the cursor {result.next_cursor}"] if result.next_cursor else []
        hint = [result.hint] if result.hint else []
        return "\n".join([f"{len(lines)} events", *lines, *result.unreadable, *hint, *more])


def _line(row: EventRow) -> str:
    description = f": {quoted(row.description)}" if row.description else ""
    user = f" by {quoted(row.user)}" if row.user else ""
    return f"{row.at} {quoted(row.hostname or 'no machine')} {quoted(row.level)} {quoted(row.type)}{description}{user}"
