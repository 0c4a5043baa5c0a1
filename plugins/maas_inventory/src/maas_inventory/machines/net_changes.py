"""Sums the changes of each machine, from the informer's journal and, for the time before it, from MAAS's events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from maas_inventory.machines.changes import ChangePage, Period
from maas_inventory.machines.showing import shown_value
from maas_inventory.paging import digest, open_cursor
from maas_inventory.times import seconds_of, show
from maas_inventory.values import JSON
from maas_mcp.api import ToolContext, fit_page

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Informer
    from maas_inventory.informer.snapshot import Change as JournalChange

DEFAULT_PERIOD: Final = timedelta(hours=1)
"""The period before now, for a call without `since` and without a cursor."""
DEFAULT_FIELDS: Final = (
    "status_name", "owner", "hostname", "zone", "pool", "domain", "tag_names", "locked", "power_state", "description",
    "error_description",
)  # fmt: skip
STATUS: Final = "status_name"


@dataclass(frozen=True, slots=True)
class Note:
    """One change of one machine."""

    at: float
    """Unix time."""
    system_id: str
    hostname: str
    kind: str
    fields: Mapping[str, tuple[Any, Any]]


@dataclass(slots=True)
class Net:
    """The sum of a machine's changes."""

    system_id: str
    hostname: str
    kind: str
    at: float
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def add(self, note: Note) -> None:
        """Add the next change."""
        self.at, self.hostname = note.at, note.hostname
        # A machine that came and went in the period is shown as gone; one that went and came back, as changed.
        self.kind = "changed" if (self.kind, note.kind) == ("removed", "added") else note.kind
        if note.kind == "changed" and self.kind == "added":
            self.kind = "added"
        for name, (old, new) in note.fields.items():
            self.fields[name] = (self.fields[name][0] if name in self.fields else old, new)

    def shown(self) -> dict[str, JSON]:
        """The machine with the fields that are different now."""
        changed = {name: [shown_value(old), shown_value(new)] for name, (old, new) in self.fields.items() if old != new}
        item = {"at": show(self.at), "kind": self.kind, "system_id": self.system_id, "hostname": self.hostname}
        return item | ({"changed": changed} if changed else {})

    @property
    def is_nothing(self) -> bool:
        """Whether everything is as it was."""
        return self.kind == "changed" and all(old == new for old, new in self.fields.values())

    @property
    def place(self) -> tuple[float, str]:
        """The place in the list."""
        return self.at, self.system_id


async def read_changes(ctx: ToolContext[Any, "Informer"], args: Period) -> ChangePage:
    """Return a page of what changed, one item for each machine."""
    query = digest({"changes": args.fields})
    last = open_cursor(ctx, args.cursor, query) or {}
    now = ctx.state.unix_time()
    since = last.get("since", seconds_of(args.since or DEFAULT_PERIOD, now))
    until, after = last.get("until", now), last.get("after")
    # All pages of an answer end where the first one ended. What changes meanwhile is in the next answer.
    notes, hint, number = await _read(ctx, since, until, after, last.get("number"))
    found = sorted(_sum(notes, args.fields or DEFAULT_FIELDS), key=lambda each: each.place)
    rest = [each for each in found if each.place > tuple(last.get("place", (0.0, "")))]
    items = fit_page((each.shown() for each in rest), args.limit)
    more = len(items) < len(rest)
    position: dict[str, JSON] = {"since": until, "after": number}
    if more:
        place = rest[len(items) - 1].place
        position = {"since": since, "after": after, "until": until, "number": number, "place": place}
    nothing = None if found else f"Nothing changed since {show(since)}."
    return ChangePage(
        changes=items,
        more=more,
        cursor=ctx.cursors.seal({"of": query, **position}),
        hint=" ".join(filter(None, [nothing, hint])) or None,
    )


async def _read(
    ctx: ToolContext[Any, "Informer"], since: float, until: float, after: int | None, last: int | None
) -> tuple[Sequence[Note], str | None, int]:
    """The changes of a period, up to the number ``last`` in the journal.

    Returns:
        The changes, a hint about those that are unknown, and the number of the last one.
    """
    informer = ctx.state
    journal = (
        await informer.changes(after=after)
        if after is not None
        else await informer.changes(since=datetime.fromtimestamp(since, UTC))
    )
    last = journal.last if last is None else last
    notes = [_noted(change) for change in journal.changes if change.number <= last]
    if journal.complete:
        return notes, None, last
    from maas_inventory.machines.past import read_past  # noqa: PLC0415 - only the time before the informer needs it

    past = await read_past(ctx, since, until)
    statuses = [
        Note(each.at, each.system_id, each.hostname, "changed", {STATUS: (each.old, each.new)}) for each in past.changes
    ]
    others = (
        Note(each.at, each.system_id, each.hostname, each.kind, _without_status(each.fields))
        for each in notes
        if each.kind != "changed" or each.fields.keys() != {STATUS}
    )
    begin = show(journal.begin.timestamp())
    hint = f"Before {begin} only statuses are known, from MAAS's events; owners and other changes are not."
    if past.since > since:
        hint += f" The events reach back to {show(past.since)}."
    return sorted([*statuses, *others], key=lambda each: each.at), hint, last


def _without_status(fields: Mapping[str, tuple[Any, Any]]) -> Mapping[str, tuple[Any, Any]]:
    return {name: values for name, values in fields.items() if name != STATUS}


def _noted(change: "JournalChange") -> Note:
    fields = {each.name: (each.old, each.new) for each in change.fields}
    return Note(change.unix_time, change.system_id, change.hostname, change.kind, fields)


def _sum(notes: Iterable[Note], fields: Sequence[str]) -> list[Net]:
    """The net changes by machine."""
    found: dict[str, Net] = {}
    for note in notes:
        kept = Note(
            note.at,
            note.system_id,
            note.hostname,
            note.kind,
            {name: values for name, values in note.fields.items() if name in fields},
        )
        if note.kind == "changed" and not kept.fields:
            continue
        net = found.get(note.system_id)
        if net is None:
            net = found[note.system_id] = Net(note.system_id, note.hostname, note.kind, note.at)
        net.add(kept)
    return [net for net in found.values() if not net.is_nothing]
