"""A minimal region, with an event log and machines, for events that the simulator never produces."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import anyio

from maas_mcp.errors import MaasUnavailableError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.reading import JSON
from maas_mcp.maas.statuses import MachineStatus


@dataclass(frozen=True)
class SentRequest:
    """A request: its kind, machines (empty for all), event id, and time."""

    kind: str
    ids: tuple[str, ...]
    after: int | None
    time: float
    size: int
    """Size of the URL's query in bytes."""


@dataclass
class EventLog:
    """Responds like a region. ``trouble`` may raise, or wait, for any request."""

    status: dict[str, MachineStatus] = field(default_factory=dict)
    sets: dict[tuple[str, str], int] = field(default_factory=dict)
    """The ids of script sets, by machine and alias."""
    requests: list[SentRequest] = field(default_factory=list)
    trouble: Callable[[SentRequest], Any] | None = None
    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    visible_at: dict[int, float] = field(default_factory=dict)
    latency: float = 0.0
    _last: int = 0

    @property
    def client(self) -> MaasClient:
        return MaasClient(self)

    @property
    def newest(self) -> int:
        return max((event["id"] for event in self._visible()), default=0)

    def write_event(self, node: str, kind: str = "Loading ephemeral", description: str = "", *, number: int = 0) -> int:
        """Write an event now, by default with the next id."""
        number = number or self._last + 1
        self._last = number
        self.events[number] = {
            "id": number,
            "node": node,
            "level": "DEBUG" if kind == "Node changed status" else "INFO",
            "type": kind,
            "description": description,
        }
        return number

    def change(self, node: str, status: MachineStatus) -> None:
        """Change a machine's status, and write the event for it."""
        before, self.status[node] = self.status[node], status
        self.write_event(node, "Node changed status", f"From '{before.display}' to '{status.display}'")

    def count(self, kind: str | None = None) -> int:
        return len([each for each in self.requests if kind in (None, each.kind)])

    def counts(self) -> Counter[str]:
        return Counter(each.kind for each in self.requests)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
        **_options: object,
    ) -> JSON:
        assert (method, form) == ("GET", None), "a watcher only reads"
        one = {key: value for key, value in query if key != "id"}
        ids = tuple(value for key, value in query if key == "id")
        after = int(one["after"]) if "after" in one else None
        size = sum(len(key) + len(value) + 2 for key, value in query)
        kind = "newest" if path == "events/" and after is None else path.partition("/")[0]
        request = SentRequest(kind, ids, after, anyio.current_time(), size)
        if kind == "nodes":
            request = SentRequest(
                path.rpartition("results/")[2].strip("/"), (path.split("/")[1],), None, request.time, size
            )
        self.requests.append(request)
        await anyio.sleep(self.latency)
        if self.trouble is not None:
            waiting = self.trouble(request)
            if waiting is not None:
                await waiting
        if kind == "machines":
            return [self._machine(each) for each in ids if each in self.status]
        if path == "events/":
            return {"events": self._page(ids, after, int(one["limit"]))}
        return self._script_set(request)

    def once(self) -> "EventLog":
        return self

    def turn(self, op: str, waiting: Callable[[], None]) -> AbstractAsyncContextManager["EventLog"]:  # noqa: ARG002
        return nullcontext(self)

    async def aclose(self) -> None:
        """Do nothing: nothing is open."""

    def _visible(self, after: int = 0) -> Iterable[dict[str, Any]]:
        now = anyio.current_time()
        numbers = range(after + 1, self._last + 1) if after else self.events
        return (self.events[each] for each in numbers if each in self.events and self.visible_at.get(each, now) <= now)

    def _page(self, ids: Sequence[str], after: int | None, limit: int) -> list[dict[str, Any]]:
        wanted = frozenset(ids)
        visible = (event for event in self._visible(after or 0) if not wanted or event["node"] in wanted)
        if after:  # in the order of their numbers
            return [*islice(visible, limit)][::-1]
        found = sorted(visible, key=lambda event: int(event["id"]))
        return (found[-limit:] if after is None else found[:limit])[::-1]

    def _machine(self, node: str) -> dict[str, Any]:
        status = self.status[node]
        return {"system_id": node, "hostname": node, "status": int(status), "status_name": status.display}

    def _script_set(self, request: SentRequest) -> JSON:
        from maas_mcp.errors import MaasBadRequestError  # noqa: PLC0415 - next to the response that it imitates

        number = self.sets.get((request.ids[0], request.kind))
        if number is None:
            words = f"No {request.kind.replace('-', ' ')} script set exists for this node."
            raise MaasBadRequestError(words, maas_says=words)
        return {"id": number, "status": 1, "status_name": "Running", "results": []}


def names(number: int) -> list[str]:
    """Return system ids of six characters, as MAAS makes them."""
    return [f"m{each:05}" for each in range(number)]


@dataclass(frozen=True)
class Written:
    """An event of ``node``, written ``gap`` seconds after the previous one and visible ``delay`` seconds later."""

    node: str
    gap: float
    delay: float


def written_log(nodes: Iterable[str], events: Iterable[Written], outage: tuple[float, float]) -> tuple[EventLog, float]:
    """Return a log with these events, and when the last one was written. MAAS is down during the outage."""
    log, (begins, ends), written = EventLog(dict.fromkeys(nodes, MachineStatus.DEPLOYING)), outage, 0.0

    def trouble(request: SentRequest) -> None:
        if begins <= request.time < ends:
            raise MaasUnavailableError("503")

    log.trouble = trouble
    for number, event in enumerate(events, 1):
        written += event.gap
        log.write_event(event.node, number=number)
        log.visible_at[number] = written + event.delay
    return log, written
