"""The informer's public face: tools ask it for machines, and it keeps them fresh."""

import ipaddress
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskGroup

from maas_inventory.informer.filters import EVERY, Filter, read_mac
from maas_mcp.api import Events, LeftOut, MaasBadRequestError, MaasClient, MaasMcpError, ProgressReporter, SystemId

if TYPE_CHECKING:  # they import msgspec, which no call needs before the first question
    from maas_inventory.informer.rows import Row
    from maas_inventory.informer.session import Session
    from maas_inventory.informer.snapshot import Change

PATIENCE: Final = 40.0
"""Seconds that a query waits for the first list of machines."""
QUIET: Final = 2.0
"""Seconds that a query waits before it reports progress, so that a short wait reports none."""
MAX_READ: Final = 100
"""Machines that one request reads by id."""
MAX_FAILURES: Final = 3
"""Consecutive failed requests after which a query does not wait any longer."""
_SYSTEM_ID: Final = re.compile(r"[a-z0-9]{6}")


@dataclass(frozen=True, slots=True)
class Answer:
    """The machines that match a filter."""

    rows: Sequence["Row"]
    """All matching machines that are known, in no particular order."""
    complete: bool
    """Whether these are all. False while the first list of machines is being read, and patience has ended."""
    known: int
    """How many machines are known so far, also those that do not match."""
    as_of: datetime
    """All changes up to this time that MAAS wrote an event about, or that this server made, are in the rows."""
    oldest_seconds: float | None
    """The age of the oldest row: a change without an event may be missing since then. ``None`` without rows."""
    resync_seconds: float
    """A change without an event is noticed within this time."""
    left_out: Sequence[LeftOut]
    """Machines whose id or status cannot be read. They may match."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of machines, oldest first."""

    changes: Sequence["Change"]
    last: int
    """Pass it as ``after`` to get the changes after these."""
    complete: bool
    """False if there may have been others: the informer did not run, or its journal is full."""
    begin: datetime
    """The journal has all changes from this time on."""


class Informer:
    """Answers for all machines that a caller may see.

    The first question starts it. Unused for a quarter of an hour, it sends no request any more and forgets all
    machines.

    Args:
        maas: The caller's client.
        events: The events of all machines.
        tasks: The task group for its work in the background.
        share: The share of one MAAS worker's time for reading all machines again and again.
        now: Returns the Unix time, for the times in answers.
    """

    def __init__(
        self, maas: MaasClient, events: Events, tasks: TaskGroup, share: float, now: Callable[[], float] = time.time
    ) -> None:
        self._maas = maas
        self._events = events
        self._tasks = tasks
        self._share = share
        self._now = now
        self._session: Session | None = None

    async def query(
        self, wanted: Filter = EVERY, *, progress: ProgressReporter | None = None, patience: float = PATIENCE
    ) -> Answer:
        """The machines that match a filter, or all of them. Once all machines are loaded, this sends no request.

        Before, MAAS is asked for the machines that match a selective filter, or those that may match are loaded first.
        A filter with ``agent_name`` is always asked of MAAS, because machines do not show it.

        Raises:
            MaasError: The machines are not loaded yet, and MAAS cannot be read.
        """
        with self._use() as session, anyio.move_on_after(patience):
            if wanted.agent_name is not None:
                return self._answer(session, await _ask(session, wanted), complete=True)
            if wanted.is_selective and session.may_miss(wanted):
                with suppress(MaasBadRequestError):  # a zone, pool or tag that MAAS does not know
                    found = await _ask(session, wanted)
                    if not wanted.find_missing(found):
                        return self._answer(session, found, complete=True)
            await _wait(session, wanted, progress)
        if wanted.agent_name is not None:
            return self._answer(session, (), complete=False)
        rows = wanted.select(session.snapshot.rows.values())
        return self._answer(session, rows, complete=not session.may_miss(wanted))

    async def read(self, ids: Sequence[SystemId]) -> Answer:
        """Read these machines from MAAS now, such as those of a page. A machine that is gone is missing.

        Raises:
            MaasError: MAAS cannot be read.
        """
        with self._use() as session:
            for start in range(0, len(ids), MAX_READ):
                await session.reads.list_by_id(ids[start : start + MAX_READ])
            rows = session.snapshot.rows
            return self._answer(session, [rows[name] for name in ids if name in rows], complete=True)

    async def resolve(self, name: str, *, progress: ProgressReporter | None = None) -> Answer:
        """The machines with this system id, hostname, FQDN, MAC or IP address. Usually one; none if there is none.

        Raises:
            MaasError: The machines are not loaded yet, and MAAS cannot be read.
        """
        for wanted in _meanings(name.strip()):
            answer = await self.query(wanted, progress=progress)
            if answer.rows:
                return answer
        return answer

    async def changes(self, *, after: int | None = None, since: datetime | None = None) -> Changes:
        """The changes after a number (``last`` of an earlier answer), or since a time; without both, all known ones.

        The informer knows only changes since its first list; ``complete`` shows whether that is enough.
        """
        with self._use() as session:
            snapshot = session.snapshot
            if since is None:
                found, complete = snapshot.changes(after or 0)
            else:
                age = self._now() - since.timestamp()
                found, complete = snapshot.changes_since(anyio.current_time() - age)
            begin = min(snapshot.journal_begin, anyio.current_time())
            return Changes(found, snapshot.last_change, complete, self.date(begin))

    def show(self, ids: Sequence[SystemId]) -> None:
        """Note that these machines are on the page that a caller sees: they are read again more often."""
        if self._session is not None:
            self._session.shown = frozenset(ids)

    def unix_time(self) -> float:
        """The time now, as in answers."""
        return self._now()

    def date(self, at: float) -> datetime:
        """The date of a time of the event loop's clock, such as that of a :class:`Change`."""
        return datetime.fromtimestamp(self._now() - (anyio.current_time() - at), UTC)

    @contextmanager
    def _use(self) -> Iterator["Session"]:
        from maas_inventory.informer.session import Session  # noqa: PLC0415 - see above

        session = self._session
        if session is None:
            # Numbers of changes increase from one session to the next, also in another process.
            last = int(self._now() * 1000)
            session = Session(self._maas, self._events, self._share, last, lambda at: self.date(at).timestamp())
            self._session = session
            self._tasks.start_soon(self._run, session)
        with session.used():
            yield session

    async def _run(self, session: "Session") -> None:
        try:
            await session.run()
        finally:
            self._session = None

    def _answer(self, session: "Session", rows: Sequence["Row"], *, complete: bool) -> Answer:
        snapshot, now = session.snapshot, anyio.current_time()
        return Answer(
            rows,
            complete,
            len(snapshot.rows),
            self.date(session.right_at),
            now - snapshot.oldest(rows, now) if rows else None,
            session.resync.round_seconds(len(snapshot.rows)),
            tuple(session.reads.left_out.values()),
        )


async def _ask(session: "Session", wanted: Filter) -> Sequence["Row"]:
    """Ask MAAS for the machines that match.

    Raises:
        MaasBadRequestError: MAAS does not know a name in the filter.
    """
    read = await session.reads.list(wanted.query())
    rows = session.snapshot.rows
    return wanted.select(rows[row.system_id] for row in read.rows if row.system_id in rows)


async def _wait(session: "Session", wanted: Filter, progress: ProgressReporter | None) -> None:
    """Wait until all machines that may match are loaded."""
    with session.waiting(wanted):
        before, quiet_until = session.failures, anyio.current_time() + QUIET
        while session.may_miss(wanted):
            failures, error = session.failures - before, session.failure
            permanent = isinstance(error, MaasMcpError) and not error.retryable
            if error is not None and (failures >= MAX_FAILURES or (failures and permanent)):
                raise error
            is_quiet = anyio.current_time() < quiet_until
            if not is_quiet:
                _report(session, progress)
            with anyio.CancelScope(deadline=quiet_until if is_quiet else math.inf):
                await session.progressed.wait()
        if anyio.current_time() >= quiet_until:
            _report(session, progress)


def _report(session: "Session", progress: ProgressReporter | None) -> None:
    if progress is not None:
        progress.report(session.fraction, f"Read {len(session.snapshot.rows):,} machines so far")


def _meanings(name: str) -> Iterator[Filter]:
    """The filters for the machines that a name may mean."""
    if mac := read_mac(name):
        yield Filter(mac_addresses=(mac,))
    elif _is_address(name):
        yield Filter(ip_addresses=(name,))
    else:
        if _SYSTEM_ID.fullmatch(name.lower()):
            yield Filter(ids=(name.lower(),))
        yield Filter(names=(name,))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
