"""Every position at which the connection of an order can end, and orders that end there."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from maas_simulator import SimulatedMachine, SimulatedRegion
from tests.integration.faults.proxy import (
    Fate,
    Proxy,
    cut_after_request,
    cut_amid_answer,
    cut_amid_request,
    cut_before,
    page,
    says,
)

RUNS = 50
"""Of each order at each position: 200 with the four of them."""
SPEED = 400.0
"""Simulated seconds a second: an operation takes about half a second."""

HASTY = "tests.integration.faults.hasty_server"
"""The server for requests that never arrive: it gives them up after 2 seconds, and not after a minute."""

ACTED: dict[str, Fate] = {
    "cut after the request": cut_after_request,
    "cut in the answer": cut_amid_answer(RUNS),
    "504 after the request": says(504, page(504), forwarded=True),
}
NOTHING_ARRIVED: dict[str, Fate] = {
    "cut before the request": cut_before,
    "cut in the request": cut_amid_request,
    "502 instead of the request": says(502, page(502)),
}


Machines = list[SimulatedMachine]


@contextmanager
def meeting_all(proxy: Proxy, region: SimulatedRegion, fates: dict[str, Fate]) -> Iterator[dict[str, Machines]]:
    """Give every machine's order its fate; yields the machines by the name of the fault.

    Afterwards each order was given exactly once.
    """
    machines = iter(list(region.machines.values()))
    groups = {fault: [next(machines) for _ in range(runs_of(fault))] for fault in fates}
    with ExitStack() as stack:
        met = [
            stack.enter_context(proxy.meeting(fates[fault], method="POST", path=f"/{machine.system_id}/"))
            for fault, group in groups.items()
            for machine in group
        ]
        yield groups
    assert [len(each()) for each in met] == [1] * len(met)


def runs_of(fault: str) -> int:
    """All runs at the positions that a connection can end at, a few with a proxy that speaks for itself."""
    return RUNS if fault.startswith("cut") else 10
