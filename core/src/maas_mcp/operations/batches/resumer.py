"""The resumer of a batch: finds its members in MAAS and in this process's requests, and resumes their runs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import anyio

from maas_mcp.errors import MaasMcpError
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.reading import Listing
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.batches.members import Follow, member_handle
from maas_mcp.operations.batches.requests import BatchRequests
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.outages import seconds_until
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.start_requests import RequestState, refused
from maas_mcp.operations.running.status import OperationStatus


@dataclass(frozen=True, slots=True)
class MemberResumer:
    """Resumes the members of a batch."""

    engine: Engine
    batch: BatchOperation[Any, Any]
    each: Operation[Any, Any]
    """The operation on each machine."""
    handle: Handle
    """The batch."""
    requests: BatchRequests
    """The start requests of the process for its batches."""
    pause: float
    """Seconds between two checks whether a member was requested."""

    def followers(
        self, found: Listing[Machine], cancellation: CancellationToken, until: float
    ) -> dict[SystemId, Follow]:
        """Return for each member a function that follows it to its end or until ``until``.

        Args:
            found: The machines that MAAS lists for the batch.
            cancellation: Stops following.
            until: When to return, on anyio's clock.
        """
        name = self.handle.system_id
        known = {machine.system_id: machine for machine in found}
        requested = self.requests.find(name)
        unrequested = requested.unrequested if requested else {}
        # An unreadable machine is still a member: following it reports the problem.
        unreadable = [str(each.identity) for each in found.left_out if each.identity is not None]
        # MAAS lists a machine that it did not allocate for the batch only after it has accepted the request.
        requests = self.requests.for_batch(name)
        still_open = [each.handle.system_id for each in requests if each.state is not RequestState.ACCEPTED]
        ids = dict.fromkeys([*known, *unreadable, *still_open, *unrequested])
        return {each: self._follower(each, known.get(each), unrequested, cancellation, until) for each in ids}

    def _follower(
        self,
        system_id: SystemId,
        machine: Machine | None,
        unrequested: Mapping[SystemId, MaasMcpError],
        cancellation: CancellationToken,
        until: float,
    ) -> Follow:
        member = self.handle_of(system_id, machine)

        async def run(progress: ProgressReporter) -> OperationStatus[Any]:
            while machine and system_id not in unrequested and self._awaits_request(machine):
                if anyio.current_time() >= until:
                    return OperationStatus(member, 0.0, "Not requested yet")
                await anyio.sleep(min(self.pause, until - anyio.current_time()))
            if error := unrequested.get(system_id):
                raise refused(self.each.name, error)
            return await self.engine.resume(self.each, member, progress, cancellation, wait=seconds_until(until))

        return run

    def handle_of(self, system_id: SystemId, machine: Machine | None) -> Handle:
        """Return the handle of one member, whose machine was read if MAAS lists it for the batch."""
        if request := self.requests.for_machine(self.handle.system_id, system_id):
            return request.handle
        member = member_handle(self.each.name, system_id, self.handle)
        if machine and machine.status in self.each.lifecycle.pending:
            # The time of its request is unknown, so the deadline of the batch applies.
            later = int((self.batch.deadline - self.each.deadline).total_seconds())
            member = replace(member, started=member.started + later)
        return member

    def _awaits_request(self, machine: Machine) -> bool:
        requested = self.requests.starting(self.handle.system_id)
        waits = requested is not None and machine.system_id not in requested.by_machine
        return waits and machine.status is MachineStatus.ALLOCATED
