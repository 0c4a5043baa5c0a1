"""A snapshot of a run that this process has not watched: the machine and all events since the cursor."""

from dataclasses import replace
from typing import Final

import anyio

from maas_mcp.errors import MaasNotFoundError, MaasProtocolError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.limits import MAX_EVENTS
from maas_mcp.maas.models import Event, Machine
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.evidence import Needs, Observation
from maas_mcp.operations.running.subject import Shared

ATTEMPTS: Final = 2
"""Maximum attempts. A snapshot is read again if MAAS responds so slowly that its reads may not match."""


async def read_snapshot(shared: Shared, maas: MaasClient, needs: Needs, handle: Handle) -> tuple[Machine, Observation]:
    """Read the machine and everything that MAAS still has about a run, as one observation.

    Args:
        shared: The services of the engine. Concurrent snapshots share the reads of their machines.
        maas: The region, through a client with the caller's retries.
        needs: The data by which the run is judged.
        handle: The run.

    Raises:
        MaasNotFoundError: The machine is gone: neither a read nor, a moment later, the list shows it.
        MaasError: MAAS cannot be reached.
    """
    try:
        return await _read_snapshot(shared, maas, needs, handle)
    except MaasNotFoundError:
        await anyio.sleep(shared.timing.refusal_pause)
        if not (await maas.machine_listing(id=[handle.system_id])).total:
            raise
    try:
        return await _read_snapshot(shared, maas, needs, handle)
    except MaasNotFoundError as error:
        raise MaasProtocolError(f"MAAS lists {handle.system_id}, but does not return it ({error}).") from error


async def _read_snapshot(shared: Shared, maas: MaasClient, needs: Needs, handle: Handle) -> tuple[Machine, Observation]:
    # The machine is read last. A machine from before the start with events from after it would look like an end.
    for _ in range(ATTEMPTS):
        began = anyio.current_time()
        observation = await read_since(maas, needs, handle)
        machine = await shared.reads.machine(maas, handle.system_id)
        if anyio.current_time() < began + shared.timing.stale:
            break  # otherwise the events may be too old for this state of the machine
    return machine, replace(observation, machine=machine)


async def read_since(maas: MaasClient, needs: Needs, handle: Handle) -> Observation:
    """Read the events and script sets of a run. Script sets that MAAS does not have are left out."""
    events: list[Event] = []
    cursor, more = handle.cursor, True
    while more:
        page = await maas.event_listing(after=cursor, ids=[handle.system_id], level="DEBUG", limit=MAX_EVENTS)
        events += page
        cursor, more = (page[-1].id if page else cursor), bool(page) and page.total == MAX_EVENTS
    sets = {name: await maas.script_set(handle.system_id, name) for name in needs.script_sets}
    known = {name: scripts for name, scripts in sets.items() if scripts is not None}
    return Observation(events=tuple(events), script_sets=known)
