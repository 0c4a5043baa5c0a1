"""A test bench: an informer on an in-process region, on a virtual clock, with the server's own watcher of events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc

from maas_inventory.informer.filters import Filter
from maas_inventory.informer.informer import Answer, Informer
from maas_inventory.informer.rows import Row, RowReader
from maas_inventory.informer.snapshot import JOURNALED
from maas_mcp.api import MaasClient
from maas_mcp.operations.watching.watcher import Watcher
from maas_simulator import SimulatedRegion, demo_region
from maas_simulator.http.render import machine_json
from maas_simulator.model.costs import Costs
from tests.house import client_of

ALL = Filter()


@dataclass
class Bench:
    """An informer and its region."""

    region: SimulatedRegion
    maas: MaasClient
    informer: Informer
    watcher: Watcher
    tasks: anyio.abc.TaskGroup
    reader: RowReader = field(default_factory=RowReader)

    async def all(self) -> Answer:
        """All machines as the informer knows them."""
        return await self.informer.query(ALL, patience=600.0)

    async def row(self, name: str) -> Row:
        """A machine as the informer knows it, by hostname."""
        (row,) = [row for row in (await self.all()).rows if row.hostname == name]
        return row

    def truth(self) -> dict[str, Row]:
        """All machines as MAAS shows them now."""
        self.region.play()
        sent = [machine_json(self.region, each) for each in self.region.machines.values()]
        return {row.system_id: row for row in self.reader.read_list(sent).rows}

    async def differences(self) -> list[str]:
        """What the informer says otherwise than MAAS."""
        known, truth = {row.system_id: row for row in (await self.all()).rows}, self.truth()
        found = [f"{truth[name].hostname} is missing" for name in truth.keys() - known.keys()]
        found += [f"{known[name].hostname} is gone" for name in known.keys() - truth.keys()]
        for name in truth.keys() & known.keys():
            for each in JOURNALED:
                was, now = getattr(known[name], each), getattr(truth[name], each)
                if was != now:
                    found.append(f"{truth[name].hostname}: {each} is {now!r}, not {was!r}")
        return found

    def reads(self, since: int = 0) -> list[Any]:
        """The requests for machines, from a number on."""
        return [each for each in list(self.region.requests)[since:] if each.path.endswith("/machines/")]

    @property
    def requests(self) -> int:
        """The number of requests so far."""
        return len(self.region.requests)


@asynccontextmanager
async def opened(
    region: SimulatedRegion | None = None, *, costs: Costs | None = None, share: float = 0.05
) -> AsyncIterator[Bench]:
    """Open a bench, by default with the twelve machines of the demo."""
    region = region or demo_region(speed=1.0, clock=anyio.current_time)
    region.costs = costs or Costs.of_maas()
    maas = client_of(region)
    async with anyio.create_task_group() as tasks:
        watcher = Watcher(maas)
        tasks.start_soon(watcher.run)
        informer = Informer(maas, watcher, tasks, share, now=region.now)
        yield Bench(region, maas, informer, watcher, tasks)
        tasks.cancel_scope.cancel()
    await maas.aclose()
