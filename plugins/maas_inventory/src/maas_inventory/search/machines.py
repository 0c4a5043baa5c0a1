"""Finds machines for a search, among all machines as the informer knows them."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import anyio

from maas_inventory.lifespan import InventorySettings
from maas_inventory.search.query import Match, Query
from maas_mcp.api import ToolContext

if TYPE_CHECKING:  # they import msgspec, which no call needs before the first question about machines
    from maas_inventory.informer.informer import Informer
    from maas_inventory.informer.rows import Row

PATIENCE: Final = 3.0
"""Seconds to wait for all machines, and then again for MAAS to find the one that is called so."""
FIELDS: Final = (
    *("hostname", "fqdn", "system_id", "owner", "tag_names", "ip_addresses", "mac_addresses", "description"),
)
"""The fields of machines in which a text is searched."""


class MachineSearch:
    """The machines that match a text.

    Args:
        ctx: The call.
        query: The text.
    """

    def __init__(self, ctx: "ToolContext[InventorySettings, Informer]", query: Query) -> None:
        self._ctx = ctx
        self._query = query
        self.unsearched = ""
        """Why machines may be missing; empty if none are."""

    async def run(self) -> "list[tuple[Match, Row]]":
        """Return the machines that match, from no request if the informer knows all machines.

        Raises:
            MaasError: MAAS cannot be read.
        """
        informer = self._ctx.state
        answer = await informer.query(progress=self._ctx.progress, patience=PATIENCE)
        rows = {row.system_id: row for row in answer.rows}
        if not answer.complete:
            self.unsearched = f"only {answer.known:,} are known so far; repeat the search later"
            if len(self._query.words) == 1 and self._query.network is None:
                with anyio.move_on_after(PATIENCE):
                    named = await informer.resolve(self._query.text)
                    rows |= {row.system_id: row for row in named.rows}
        elif answer.left_out:
            self.unsearched = f"{len(answer.left_out):,} cannot be read, such as {answer.left_out[0].name}"
        return list(self._matching(rows.values()))

    def _matching(self, rows: "Iterable[Row]") -> "Iterator[tuple[Match, Row]]":
        for row in rows:
            values = {name: list(value) if isinstance(value := getattr(row, name), tuple) else value for name in FIELDS}
            if match := self._query.match(values, "hostname", "system_id"):
                yield match, row
