"""How long MAAS works on requests, and the requests that wait because all of its workers are busy."""

from heapq import heappop, heappush
from typing import Final, Self

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from maas_simulator.model.faults import STRICT
from maas_simulator.model.power import Command

COMMANDS: Final[dict[Command, int]] = {"query": 1, "on": 3, "off": 3}
"""How many commands MAAS 3.7 sends to a BMC: it ends switching with two queries."""


@checked(frozen=True, config=STRICT)
class Costs:
    """How long MAAS works on a request, in real seconds. By default requests take no time.

    The request is carried out at once, and its response is sent after all of these seconds. While all workers are busy,
    requests wait for one.
    """

    request: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """The time for any request."""
    machines: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """The time added if the response shows a machine or a list of machines, even an empty one."""
    machine: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """The time added for each machine in the response."""
    change: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """The time added if the request changes a machine."""
    bmc: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """The time added for each command to a BMC: a query is one, and switching is three."""
    workers: int = Field(default=4, ge=1)
    """How many requests MAAS works on at once."""

    @classmethod
    def of_maas(cls) -> Self:
        """Return the costs that were measured in the second recorded region: 14 machines, two cores, fast BMCs."""
        return cls(request=0.01, machines=0.15, machine=0.04, change=0.15, bmc=0.05)


def cost(costs: Costs, path: str, *, changes: bool, shown: int) -> float:
    """Return the time for a request to this path template whose response shows this many machines."""
    if not shown and path != "machines/":
        return costs.request
    return costs.request + costs.machines + costs.machine * shown + costs.change * changes


class Workers:
    """The workers of a region."""

    def __init__(self) -> None:
        self._free: list[float] = []
        """When each is free again, in seconds of the region's clock."""

    def work(self, now: float, seconds: float, workers: int) -> float:
        """Occupy the worker that is free first, and return the time until it has finished."""
        start = max(now, heappop(self._free)) if len(self._free) >= workers else now
        heappush(self._free, start + seconds)
        return start + seconds - now
