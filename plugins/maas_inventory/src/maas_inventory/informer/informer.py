"""The informer's public face: tools ask it for machines, and it keeps them fresh."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from maas_inventory.informer.filters import Filter
from maas_inventory.informer.rows import Row
from maas_inventory.informer.snapshot import Change
from maas_mcp.api import LeftOut, ProgressReporter, SystemId

PATIENCE: Final = 40.0
"""Seconds that a query waits for the first list of machines."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The machines that match a filter."""

    rows: Sequence[Row]
    """All matching machines that are known, in no particular order."""
    complete: bool
    """Whether these are all. False while the first list of machines is being read, and patience has ended."""
    loaded: int
    """The machines known so far, also those that do not match."""
    as_of: datetime
    """All changes up to this time that MAAS wrote an event about, or that this server made, are in the rows."""
    left_out: Sequence[LeftOut]
    """Machines whose id or status cannot be read. They may match."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of machines, oldest first."""

    changes: Sequence[Change]
    last: int
    """Pass it as ``after`` to get the changes after these."""
    complete: bool
    """False if the journal does not reach back so far."""


class Informer:
    """Answers for all machines that a caller may see.

    The first question starts it; unused for a quarter of an hour, it stops and forgets all machines.
    """

    async def query(
        self, wanted: Filter, *, progress: ProgressReporter | None = None, patience: float = PATIENCE
    ) -> Answer:
        """The machines that match a filter. Sends no request once all machines are loaded.

        Raises:
            MaasError: The machines are not loaded yet, and MAAS cannot be read.
        """
        raise NotImplementedError

    async def read(self, ids: Sequence[SystemId]) -> Answer:
        """Read these machines from MAAS now, such as those of a page. A machine that is gone is missing.

        Raises:
            MaasError: MAAS cannot be read.
        """
        raise NotImplementedError

    async def resolve(self, name: str, *, progress: ProgressReporter | None = None) -> Answer:
        """The machines with this system id, hostname, FQDN, MAC or IP address. Usually one; none if there is none.

        Raises:
            MaasError: The machines are not loaded yet, and MAAS cannot be read.
        """
        raise NotImplementedError

    async def changes(self, *, after: int | None = None, since: datetime | None = None) -> Changes:
        """The changes after a number (the ``last`` of an earlier answer), or since a time.

        The informer knows only changes since it was started; ``complete`` shows if that is enough.
        """
        raise NotImplementedError

    def show(self, ids: Sequence[SystemId]) -> None:
        """Note that these machines are on the page that a caller sees: they are read again before others."""
        raise NotImplementedError

    def age(self, rows: Sequence[Row]) -> float | None:
        """Seconds since the oldest of these rows was read from MAAS: changes without an event may be missing since."""
        raise NotImplementedError
