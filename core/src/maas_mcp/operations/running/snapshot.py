"""What MAAS knows of a run that nobody here has watched: everything since its cursor, read at once."""

from dataclasses import replace
from typing import Final

import anyio

from maas_mcp.errors import MaasNotFoundError, MaasProtocolError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Event, Machine
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.judging.evidence import Needs, Observation
from maas_mcp.operations.running.subject import Shared
from maas_mcp.operations.watching.watcher import EVENTS_LIMIT

TRIES: Final = 2
"""How often all is read where MAAS answers so slowly that its answers may not fit together."""


async def read_snapshot(shared: Shared, maas: MaasClient, needs: Needs, handle: Handle) -> tuple[Machine, Observation]:
    """The machine, and everything that MAAS still knows of a run, in one observation.

    Args:
        shared: What all runs of the engine share; snapshots taken at the same time share the reads of their machines.
        maas: The region, read as patiently as the caller wants.
        needs: What the run is judged by.
        handle: The run.

    Raises:
        MaasNotFoundError: The machine is gone: neither a read of it nor, a moment later, a list shows it.
        MaasError: MAAS cannot be asked.
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
        raise MaasProtocolError(f"MAAS lists {handle.system_id}, but does not show it ({error}).") from error


async def _read_snapshot(shared: Shared, maas: MaasClient, needs: Needs, handle: Handle) -> tuple[Machine, Observation]:
    # The machine comes last: if it were read before the run began, and the events after, that would read as an end.
    for _ in range(TRIES):
        began = anyio.current_time()
        observation = await all_since(maas, needs, handle)
        machine = await shared.reads.machine(maas, handle.system_id)
        if anyio.current_time() < began + shared.timing.stale:
            break  # else the machine may be another one's by now, and the events too old to tell
    return machine, replace(observation, machine=machine)


async def all_since(maas: MaasClient, needs: Needs, handle: Handle) -> Observation:
    """Everything but the machine. A script set that MAAS does not have is left out."""
    events: list[Event] = []
    cursor, more = handle.cursor, True
    while more:
        page = await maas.event_listing(after=cursor, ids=[handle.system_id], level="DEBUG", limit=EVENTS_LIMIT)
        events += page
        cursor, more = (page[-1].id if page else cursor), bool(page) and page.total == EVENTS_LIMIT
    sets = {name: await maas.script_set(handle.system_id, name) for name in needs.script_sets}
    known = {name: scripts for name, scripts in sets.items() if scripts is not None}
    return Observation(events=tuple(events), script_sets=known)
