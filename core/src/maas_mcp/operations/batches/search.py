"""Finds batches in progress for a caller who does not have their ids."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.batches.batch import BatchOperation, Member, size_of
from maas_mcp.operations.batches.labels import Label, batches_on, first_event_of, label_of, latest_batch_of
from maas_mcp.operations.batches.requests import BatchRequests
from maas_mcp.operations.batches.unstarted import describe_allocated
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.operations.running.survey import Survey


class RunningBatches(NamedTuple):
    """Batches in progress."""

    statuses: list[OperationStatus[Any]]
    parts: dict[SystemId, Handle]
    """The batch of each machine that is waiting for its start or working."""


class BatchSearch:
    """Finds batches by the labels in MAAS's events, and by the start requests of this process.

    Args:
        maas: The region.
        requests: Those of this process.
        now: Seconds since 1970.
    """

    def __init__(self, maas: MaasClient, requests: BatchRequests, now: Callable[[], float]) -> None:
        self._maas = maas
        self._requests = requests
        self._now = now

    async def find_running(self, seen: Survey, batches: Sequence[BatchOperation[Any, Any]]) -> RunningBatches:
        """Find the batches in progress on the caller's machines, whichever process started them.

        A batch is in progress while one of its machines is waiting for its start or working. So the batch of a killed
        server is found, with the machines that it left allocated.
        """
        known = {batch.name: batch for batch in batches}
        found = RunningBatches([], {})
        for label, machines in batches_on(seen.machines, seen.events).items():
            if label.operation in known and (first := await self._first_event(seen, label, machines)) is not None:
                handle = Handle(label.operation, label.name, int(self._now()), first - 1, ())
                found.statuses.append(self._status(handle, machines))
                found.parts.update(dict.fromkeys([each.system_id for each in machines], handle))
        shown = {each.handle.system_id for each in found.statuses}
        for requested in self._requests.pending():
            handle = requested.handle
            if handle.operation in known and handle.system_id not in shown:
                found.statuses.append(self._status(handle, ()))
                found.parts.update(dict.fromkeys(requested.by_machine, handle))
        return found

    async def _first_event(self, seen: Survey, label: Label, machines: Sequence[Machine]) -> int | None:
        """Return the id of a batch's first event. A survey with all its machines has that event."""
        if len(machines) < size_of(label.name):
            return await first_event_of(self._maas, label)
        named = [each.id for one in machines for each in seen.events[one.system_id] if label_of(each) == label]
        return min(named, default=None)

    async def find_same_machines(
        self, batch: BatchOperation[Any, Any], members: Sequence[Member], handles: Mapping[SystemId, Handle]
    ) -> Handle | None:
        """Find the batch in progress on exactly these machines, by the requests of this process and by MAAS's log."""
        working = [handles[member.system_id] for member in members if member.state == "working"]
        if len(working) < len(members):
            return None
        batches = [found for each in working if (found := self._requests.batch_of_member(each))]
        others = [each.system_id for each in working if self._requests.batch_of_member(each) is None]
        if others:
            labelled = await latest_batch_of(self._maas, others)
            if labelled is None:
                return None
            label, first = labelled
            batches.append(Handle(label.operation, label.name, int(self._now()), first - 1, ()))
        first_known = batches[0] if len({(each.operation, each.system_id) for each in batches}) == 1 else None
        if first_known is None or first_known.operation != batch.name:
            return None
        return first_known if size_of(first_known.system_id) == len(members) else None

    def _status(self, handle: Handle, machines: Sequence[Machine]) -> OperationStatus[Any]:
        """The status of a batch from those of its machines that MAAS shows waiting or working."""
        requested, size = self._requests.find(handle.system_id), size_of(handle.system_id)
        if requested is not None and not requested.chosen.is_set():
            return replace(requested.status(), handle=handle)
        if requested is None and all(each.status is MachineStatus.ALLOCATED for each in machines):
            return OperationStatus(handle, None, describe_allocated(handle.system_id, machines))
        working = len(machines) if machines or requested is None else len(requested.by_machine)
        ended = f", {size - working} of {size} ended" if working < size else ""
        return OperationStatus(handle, None, f"{working} of {size} working{ended}")
