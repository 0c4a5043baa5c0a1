"""The start requests of this process for its batches."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from maas_mcp.maas.models import SystemId
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.start_requests import RequestState, StartRequest

KEPT: Final = 64
"""How many batches are remembered after MAAS has answered all their requests."""


@dataclass(frozen=True, slots=True)
class RequestedBatch:
    """A batch that this process started."""

    handle: Handle
    by_machine: dict[SystemId, StartRequest] = field(default_factory=dict)

    @property
    def is_pending(self) -> bool:
        """Whether MAAS has yet to answer a request."""
        return any(each.is_pending for each in self.by_machine.values())


class BatchRequests:
    """Remembers start requests by batch and machine."""

    def __init__(self) -> None:
        self._batches: dict[str, RequestedBatch] = {}

    def register(self, handle: Handle) -> RequestedBatch:
        """Remember the requests of a new batch."""
        over = [name for name, batch in self._batches.items() if not batch.is_pending]
        for name in over[:-KEPT]:
            del self._batches[name]
        batch = self._batches[handle.system_id] = RequestedBatch(handle)
        return batch

    def for_batch(self, name: str) -> list[StartRequest]:
        """Return the requests of a batch."""
        batch = self._batches.get(name)
        return [] if batch is None else list(batch.by_machine.values())

    def for_machine(self, name: str, system_id: SystemId) -> StartRequest | None:
        """Return the request for one machine of a batch."""
        batch = self._batches.get(name)
        return None if batch is None else batch.by_machine.get(system_id)

    def is_confirmed(self, name: str) -> bool:
        """Whether MAAS accepted a request of the batch; true for a batch of another process."""
        requests = self.for_batch(name)
        return not requests or any(each.state is RequestState.ACCEPTED for each in requests)

    def pending(self) -> Iterator[RequestedBatch]:
        """Iterate over the batches with unanswered requests."""
        return (batch for batch in self._batches.values() if batch.is_pending)

    def batch_of_member(self, member: Handle) -> Handle | None:
        """Return the batch of a member's run."""
        for batch in self._batches.values():
            request = batch.by_machine.get(member.system_id)
            if request is not None and request.handle == member:
                return batch.handle
        return None
