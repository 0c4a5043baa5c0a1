"""Batches that another process allocates, or has left allocated: MAAS shows their machines, but started none of them.

A process that allocates machines keeps nothing but MAAS's records of them. After a crash only these are left.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from maas_mcp.errors import OperationFailedError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import CHANGE_TIMEOUT, MAX_EVENTS
from maas_mcp.maas.machine_ids import chunks
from maas_mcp.maas.models import Event, Machine, SystemId
from maas_mcp.maas.reading import Listing
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.batches.batch import size_of
from maas_mcp.operations.batches.labels import Label, batches_on, label_of
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.next_steps import ABORT_OPERATION
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.timing import Timing

MACHINES_PER_READ: Final = 100
"""Machines whose events are read together: a machine that only waits logs nothing after its allocation."""


class ReadBatch(NamedTuple):
    """The machines of a batch in MAAS."""

    machines: Listing[Machine]
    allocated_at: float | None = None
    """When MAAS allocated the last of them, in seconds since 1970, if it started none; otherwise ``None``."""


async def read_batch(maas: MaasClient, handle: Handle, *, by_other_process: bool) -> ReadBatch:
    """Read the machines of a batch, and for a batch of another process whether they were only allocated."""
    machines = await maas.machine_listing(agent_name=handle.system_id)
    waiting = bool(machines) and all(each.status is MachineStatus.ALLOCATED for each in machines)
    if not (by_other_process and waiting):
        return ReadBatch(machines)
    label, events = Label(handle.operation, handle.system_id), await _events(maas, machines)
    if len(batches_on(machines, events).get(label, ())) < len(machines):  # such as after aborted runs
        return ReadBatch(machines)
    allocations = [each.at or 0.0 for logged in events.values() for each in logged if label_of(each) == label]
    return ReadBatch(machines, max(allocations))


async def _events(maas: MaasClient, machines: Sequence[Machine]) -> dict[SystemId, list[Event]]:
    events: dict[SystemId, list[Event]] = {each.system_id: [] for each in machines}
    for chunk in chunks(events, MACHINES_PER_READ):
        for event in await maas.events(ids=chunk, limit=MAX_EVENTS):
            events[event.node].append(event)
    return events


def describe_allocated(name: str, machines: Sequence[Machine]) -> str:
    """Describe a batch of which MAAS shows allocated machines only."""
    return f"{len(machines)} of {size_of(name)} machines are allocated, and none of them is started"


def unstarted_status(
    handle: Handle, machines: Sequence[Machine], allocated_at: float, now: float, timing: Timing
) -> OperationStatus[Any]:
    """Return the status while the other process may still work on the batch.

    Raises:
        OperationFailedError: MAAS would have answered an allocation since, so the process has ended.
    """
    allocated = describe_allocated(handle.system_id, machines)
    if now < max(handle.started, allocated_at) + CHANGE_TIMEOUT + timing.start_grace:
        message = f"{allocated} yet. If the server that started this has stopped, abort the operation to release them"
        return OperationStatus(handle, 0.0, message, confirmed=False)
    raise OperationFailedError(
        f"{handle.operation} was interrupted: {allocated}, and no server continues.",
        hint="Abort the operation to release them. Then start it again.",
        next_steps=[ABORT_OPERATION],
    )
