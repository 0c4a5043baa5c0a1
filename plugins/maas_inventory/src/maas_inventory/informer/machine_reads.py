"""The informer's requests to MAAS: one at a time, none while MAAS asks to wait, and each into the snapshot."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import anyio

from maas_inventory.informer.resync import Resync
from maas_inventory.informer.rows import Row, RowReader
from maas_inventory.informer.snapshot import ChangeKind, Snapshot
from maas_mcp.api import FormValue, LeftOut, MaasClient, MaasUnavailableError

MACHINES = "machines/"
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class Read:
    """A list of machines that was read."""

    rows: Sequence[Row]
    left_out: Sequence[LeftOut]
    asked: float
    """When it was requested."""
    seconds: float
    """How long MAAS took."""


class MachineReads:
    """Lists machines into a snapshot.

    Args:
        maas: A client that does not repeat failed requests.
        snapshot: Takes the rows.
        resync: Learns how long MAAS takes.
    """

    def __init__(self, maas: MaasClient, snapshot: Snapshot, resync: Resync) -> None:
        self._maas = maas
        self._snapshot = snapshot
        self._resync = resync
        self._reader = RowReader()
        self._turn = anyio.Lock()
        self._wait_until = -math.inf
        self.left_out: dict[str, LeftOut] = {}
        """Machines that cannot be read, by system id or another name."""

    async def list(self, query: Mapping[str, FormValue], *, patience: float | None = None) -> Read:
        """List machines by MAAS's filters. ``patience`` replaces the usual limit in seconds.

        Raises:
            MaasError: The request failed.
        """
        asked, found = await self._ask(
            lambda: self._maas.get_as(MACHINES, self._reader.read_body, patience=patience, **query)
        )
        now = anyio.current_time()
        self._resync.note_read(len(found.rows), now - asked)
        self._take(found.rows, found.left_out, asked, now)
        return Read(found.rows, found.left_out, asked, now - asked)

    async def names(self, path: str) -> Sequence[str]:
        """The names of the objects of a list, such as ``zones/``, sorted. Objects without a readable name are missing.

        Raises:
            MaasError: The request failed.
        """
        _, answer = await self._ask(lambda: self._maas.get(path))
        entries = answer if isinstance(answer, list) else []
        names = {each.get("name") for each in entries if isinstance(each, dict)}
        return sorted(name for name in names if isinstance(name, str))

    async def _ask(self, request: Callable[[], Awaitable[AnswerT]]) -> tuple[float, AnswerT]:
        """Send a request when it is its turn. Returns when it was sent, and its answer."""
        async with self._turn:
            await anyio.sleep(max(0.0, self._wait_until - anyio.current_time()))
            asked = anyio.current_time()
            try:
                return asked, await request()
            except MaasUnavailableError as error:
                self._wait_until = anyio.current_time() + (error.retry_after or 0.0)
                raise

    async def list_by_id(self, ids: Sequence[str]) -> Read:
        """List these machines, and remove those that MAAS does not return from the snapshot.

        Raises:
            MaasError: The request failed.
        """
        read = await self.list({"id": ids})
        present = {row.system_id for row in read.rows}
        unreadable = any(each.identity is None for each in read.left_out)
        now = anyio.current_time()
        for name in ids:
            if name not in present:
                kind: ChangeKind = "unreadable" if unreadable or name in self.left_out else "removed"
                self._snapshot.remove(name, read.asked, now, kind=kind)
        return read

    def take_json(self, machines: Sequence[object], asked: float) -> None:
        """Take machines that another request has read."""
        found = self._reader.read_list(list(machines))
        self._take(found.rows, found.left_out, asked, anyio.current_time())

    def _take(self, rows: Sequence[Row], left_out: Sequence[LeftOut], asked: float, now: float) -> None:
        for row in rows:
            self._snapshot.put(row, asked, now)
            self.left_out.pop(row.system_id, None)
        for each in left_out:
            self.left_out[str(each.identity or each.name)] = each
