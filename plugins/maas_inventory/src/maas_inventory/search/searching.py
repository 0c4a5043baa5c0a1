"""Searches machines and the lists of the kinds that can have the text, a few at a time."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import anyio

from maas_inventory.objects.catalogue import KINDS
from maas_inventory.objects.kind import Kind
from maas_inventory.objects.kind_names import MACHINE
from maas_inventory.objects.reading import explained, objects_of
from maas_inventory.objects.row import ObjectRow
from maas_inventory.search.machines import MachineSearch
from maas_inventory.search.query import Match, Query
from maas_inventory.values import JSON, shorten
from maas_mcp.api import MaasError, ToolContext

NAMED: Final = (
    *("subnet", "vlan", "fabric", "space", "zone", "pool", "tag", "image", "vm_host", "domain", "dns_record"),
    *("device", "rack_controller", "user", "script"),
)
"""The kinds in which a name is searched."""
ADDRESSED: Final = ("subnet", "ip_range", "reserved_ip", "dns_record", "device", "rack_controller")
"""The kinds in which an IP address is searched."""
WITH_MAC: Final = ("device", "reserved_ip", "discovery")
"""The kinds in which a MAC address is searched."""
AT_A_TIME: Final = 3
"""Requests at a time. MAAS serves four."""
MAX_VALUE: Final = 100
"""Characters of a name or a value in a hit."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An object that matches."""

    match: Match
    key: str | int
    name: str
    why: str
    """The field that matches, with its value."""


@dataclass(slots=True)
class Search:
    """A search: its findings so far, by kind."""

    ctx: ToolContext
    query: Query
    found: defaultdict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    unsearched: list[str] = field(default_factory=list)
    """The kinds that could not be read, each with MAAS's error."""
    error: MaasError | None = None

    async def run(self) -> None:
        """Search all kinds that can have the text.

        Raises:
            MaasError: None of them can be read.
        """
        kinds = [KINDS[name] for name in self._kinds()]
        paths: defaultdict[str, list[Kind]] = defaultdict(list)
        for kind in kinds:
            paths[kind.path].append(kind)
        limiter = anyio.CapacityLimiter(AT_A_TIME)

        async def search(kinds: list[Kind]) -> None:
            async with limiter:
                await self._recording(", ".join(kind.nouns for kind in kinds), lambda: self._search_list(kinds))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._recording, "machines", self._search_machines)
            for same in paths.values():
                tasks.start_soon(search, same)
        if self.query.address is not None:
            await self._recording("IP addresses in use", self._search_addresses)
        if self.error is not None and len(self.unsearched) > len(paths):
            raise self.error

    def _kinds(self) -> tuple[str, ...]:
        if self.query.address is not None:
            return ADDRESSED
        return NAMED if self.query.mac is None else WITH_MAC

    async def _recording(self, what: str, search: Callable[[], Awaitable[None]]) -> None:
        """Record an error of MAAS. It hides no hits of other kinds."""
        try:
            await search()
        except MaasError as error:
            self.unsearched.append(f"{what}: {error.message}")
            self.error = self.error or error

    async def _search_list(self, kinds: list[Kind]) -> None:
        with explained(kinds[0]):
            answer = await self.ctx.maas.get(kinds[0].path)
        for kind in kinds:
            self._search_rows(kind, objects_of(kind, answer).rows)

    def _search_rows(self, kind: Kind, rows: Iterable[ObjectRow]) -> None:
        for row in rows:
            if match := self._match(row):
                value = _brief(getattr(row, match.field, None))
                why = f"{match.field} {value}" if value else match.field
                self.found[kind.name].append(Finding(match, row.key, _brief(row.display_name), why))

    def _match(self, row: ObjectRow) -> Match | None:
        return self.query.match(
            {**row.shown(), row.identity: row.key, row.label: row.display_name}, row.label, row.identity
        )

    async def _search_machines(self) -> None:
        machines = MachineSearch(self.ctx, self.query)
        for match, row in await machines.run():
            facts = [row.fqdn, row.status_name, *([f"owner {row.owner}"] if row.owner else [])]
            if match.field not in ("hostname", "fqdn", "owner"):
                facts.append(f"{match.field} {_brief(_matching(getattr(row, match.field, None), self.query))}")
            finding = Finding(_preferred(match), row.system_id, _brief(row.hostname), _brief(", ".join(facts)))
            self.found[MACHINE].append(finding)
        if machines.unsearched:
            self.unsearched.append(f"machines: {machines.unsearched}")

    async def _search_addresses(self) -> None:
        """Find who uses an address, in the smallest subnet that contains it."""
        subnet = max(self.found["subnet"], key=lambda finding: finding.match.score, default=None)
        if subnet is None:
            return
        kind = KINDS["ip_address"]
        objects = objects_of(kind, await self.ctx.maas.get_op(f"subnets/{subnet.key}/", "ip_addresses"))
        for row in objects.rows:
            if match := self._match(row):
                facts = ", ".join(f"{name} {_brief(value)}" for name, value in row.shown().items() if name != row.label)
                self.found[kind.name].append(Finding(match, row.key, _brief(row.display_name), facts))


def _preferred(match: Match) -> Match:
    """A machine with this name or address comes before all else that matches as well."""
    return match if match.field in ("owner", "tag_names", "description") else Match(match.score + 1, match.field)


def _matching(value: JSON, query: Query) -> JSON:
    """Return the items of a list that contain the text, or the whole value."""
    items = [each for each in value if query.words[0] in str(each).lower()] if isinstance(value, tuple) else []
    return items or (list(value) if isinstance(value, tuple) else value)


def _brief(value: JSON) -> str:
    """Return a value in a few characters."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    shown: str = shorten(text, MAX_VALUE)
    return shown
