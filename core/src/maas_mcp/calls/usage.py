"""Counts the machines that calls change, for the policy's limits: in this process, or in a file that replicas share."""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

import anyio
import anyio.to_thread

from maas_mcp.errors import RefusedByPolicyError
from maas_mcp.policy.limits import CHOSEN, HOUR, Counted, Exceeded, Limit, Usage, exceeded

BUSY_TIMEOUT: Final = 10.0
"""Seconds to wait while another process uses the file."""
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS usage (
    kind TEXT NOT NULL, machine TEXT NOT NULL, at REAL NOT NULL, busy INTEGER NOT NULL, PRIMARY KEY (kind, machine)
) WITHOUT ROWID
"""
_COUNT: Final = """
INSERT INTO usage VALUES (?, ?, ?, 1) ON CONFLICT (kind, machine) DO UPDATE SET at = excluded.at, busy = 1
"""
_ROW: Final = "SELECT kind, machine, at, busy FROM usage WHERE kind = ? AND machine = ?"
_RESTORE: Final = "UPDATE usage SET at = ?, busy = MIN(busy, ?) WHERE kind = ? AND machine = ? AND at = ?"
"""Restores an earlier row. Its change may have ended in the meantime."""

ResultT = TypeVar("ResultT")


class UsageStore:
    """The machines of each kind of change in the last hour, and those on which a change is running.

    Every method raises a ``RefusedByPolicyError`` if the file cannot be used, because no change may go uncounted.

    Args:
        path: The file, or ``None`` for this process alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = anyio.Lock()
        with self._explaining():
            self._database = sqlite3.connect(
                path or ":memory:", timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            self._database.execute(_TABLE)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    async def read(self, kinds: Collection[str], now: float) -> Mapping[str, Usage]:
        """Return the usage of these kinds of change."""
        return await self._run(lambda: {kind: self._usage(kind, now) for kind in kinds})

    async def busy_since(self, kind: str, before: float) -> frozenset[str]:
        """Return the machines on which a change is running that started before a time."""
        query = "SELECT machine FROM usage WHERE kind = ? AND busy AND at < ?"
        return await self._run(
            lambda: frozenset(machine for (machine,) in self._database.execute(query, (kind, before)))
        )

    async def count(
        self, limits: Mapping[str, Limit], machines: Iterable[str], now: float, more: int = 0
    ) -> Counted | Exceeded:
        """Count the machines of a call, unless it would exceed a limit. The check and the count are atomic.

        Args:
            limits: The limits that count the call, by kind.
            machines: The machines.
            now: The Unix time.
            more: Machines that MAAS will choose. They are counted as well.
        """
        named = tuple(dict.fromkeys(machines))
        return await self._run(lambda: self._count(limits, named, now, more))

    async def end(self, kinds: Collection[str], machines: Collection[str]) -> None:
        """Note that the changes of these machines have ended."""
        pairs = [(kind, machine) for kind in kinds for machine in machines]
        await self._run(
            lambda: self._database.executemany("UPDATE usage SET busy = 0 WHERE kind = ? AND machine = ?", pairs)
        )

    async def forget(self, counted: Counted) -> None:
        """Forget what a call has counted, because it sent nothing. What a later call has counted stays."""
        await self._run(lambda: self._forget(counted))

    def _count(
        self, limits: Mapping[str, Limit], machines: tuple[str, ...], now: float, more: int
    ) -> Counted | Exceeded:
        with self._transaction():
            self._database.execute("DELETE FROM usage WHERE at < ? AND busy = 0", (now - HOUR,))
            for kind, limit in limits.items():
                for part, reason in exceeded(limit, self._usage(kind, now), machines, more):
                    return Exceeded(kind, part, reason)
            named = [(kind, each) for kind in limits for each in machines]
            earlier = tuple(row for pair in named for row in self._database.execute(_ROW, pair))
            chosen = tuple(f"{CHOSEN}{uuid4()}" for _number in range(more))
            self._database.executemany(_COUNT, [(kind, each, now) for kind in limits for each in (*machines, *chosen)])
            return Counted(tuple(limits), (*machines, *chosen), now, earlier)

    def _forget(self, counted: Counted) -> None:
        earlier = {(kind, machine) for kind, machine, _at, _busy in counted.earlier}
        pairs = [(kind, machine) for kind in counted.kinds for machine in counted.machines]
        new = [(*pair, counted.at) for pair in pairs if pair not in earlier]
        with self._transaction():
            self._database.executemany("DELETE FROM usage WHERE kind = ? AND machine = ? AND at = ?", new)
            rows = [(at, busy, kind, machine, counted.at) for kind, machine, at, busy in counted.earlier]
            self._database.executemany(_RESTORE, rows)

    def _usage(self, kind: str, now: float) -> Usage:
        rows = self._database.execute("SELECT machine, at, busy FROM usage WHERE kind = ?", (kind,)).fetchall()
        last_hour = frozenset(machine for machine, at, _busy in rows if at >= now - HOUR)
        return Usage(last_hour, frozenset(machine for machine, _at, busy in rows if busy))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        """Run the work: at once in memory, or in a thread for a file, which another process may have locked."""
        with self._explaining():
            if self._path is None:
                return work()
            async with self._lock:
                return await anyio.to_thread.run_sync(work)

    def _explaining(self) -> AbstractContextManager[None]:
        return _explaining(self._path)


def check_usage_file(path: Path) -> None:
    """Check that calls can be counted in a file, without creating it.

    Raises:
        RefusedByPolicyError: They cannot.
    """
    with _explaining(path):
        if not path.exists():
            if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
                raise sqlite3.OperationalError("it does not exist, and its directory is missing or not writable")
            return
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        ) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("SELECT * FROM sqlite_master")
            database.execute("ROLLBACK")


@contextmanager
def _explaining(path: Path | None) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        problem = f"The usage file {path}, which counts machines for the limits, cannot be used: {error}"
    else:
        return
    raise RefusedByPolicyError(
        "usage_file",
        f"{problem}. Nothing was sent to MAAS.",
        hint="The operator of this server can correct usage_file in its policy. Tools that only read still work.",
    )
