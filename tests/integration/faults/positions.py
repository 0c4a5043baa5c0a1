"""Every position at which the connection of a POST can end."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from maas_simulator import SimulatedMachine, SimulatedRegion
from tests.integration.faults.proxy import (
    Behaviour,
    Proxy,
    cut_after_request,
    cut_before,
    cut_during_request,
    cut_during_response,
    nginx_page,
    respond_with,
)

RUNS = 50
"""Runs of each operation at each position."""
SPEED = 400.0
"""Simulated seconds per second: an operation takes about 0.5 s."""

SHORT_TIMEOUT_SERVER = "tests.integration.faults.short_timeout_server"
"""The server for requests that never arrive. It gives up after 2 seconds instead of a minute."""

ACTED: dict[str, Behaviour] = {
    "cut after the request": cut_after_request,
    "cut in the answer": cut_during_response(RUNS),
    "504 after the request": respond_with(504, nginx_page(504), forwarded=True),
}
NOTHING_ARRIVED: dict[str, Behaviour] = {
    "cut before the request": cut_before,
    "cut in the request": cut_during_request,
    "502 instead of the request": respond_with(502, nginx_page(502)),
}


Machines = list[SimulatedMachine]


@contextmanager
def applying_to_all(
    proxy: Proxy, region: SimulatedRegion, behaviours: dict[str, Behaviour]
) -> Iterator[dict[str, Machines]]:
    """Apply a fault to the POST for each machine. Yields the machines by the name of the fault.

    Checks afterwards that each POST was sent exactly once.
    """
    machines = iter(list(region.machines.values()))
    groups = {fault: [next(machines) for _ in range(runs_of(fault))] for fault in behaviours}
    with ExitStack() as stack:
        affected = [
            stack.enter_context(proxy.applying(behaviours[fault], method="POST", path=f"/{machine.system_id}/"))
            for fault, group in groups.items()
            for machine in group
        ]
        yield groups
    assert [len(each()) for each in affected] == [1] * len(affected)


def runs_of(fault: str) -> int:
    """The number of runs: many where a connection ends, a few where the proxy responds."""
    return RUNS if fault.startswith("cut") else 10
