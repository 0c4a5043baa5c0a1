"""The requests to start that this process has made for its batches."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from maas_mcp.maas.models import SystemId
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.start_requests import RequestState, StartRequest

KEPT: Final = 64
"""How many batches are remembered once MAAS has answered all their requests."""


@dataclass(frozen=True, slots=True)
class Requested:
    """A batch of this process."""

    handle: Handle
    by_machine: dict[SystemId, StartRequest] = field(default_factory=dict)

    @property
    def under_way(self) -> bool:
        """Whether MAAS may yet answer one of them."""
        return any(each.under_way for each in self.by_machine.values())


class BatchRequests:
    """Remembers them, by the batch's name and the machine."""

    def __init__(self) -> None:
        self._batches: dict[str, Requested] = {}

    def begin(self, handle: Handle) -> Requested:
        """Remember what will be requested for the batch that ``handle`` names."""
        over = [name for name, batch in self._batches.items() if not batch.under_way]
        for name in over[:-KEPT]:
            del self._batches[name]
        batch = self._batches[handle.system_id] = Requested(handle)
        return batch

    def of(self, name: str) -> list[StartRequest]:
        """The requests for a batch."""
        batch = self._batches.get(name)
        return [] if batch is None else list(batch.by_machine.values())

    def on(self, name: str, system_id: SystemId) -> StartRequest | None:
        """The request for one machine of a batch."""
        batch = self._batches.get(name)
        return None if batch is None else batch.by_machine.get(system_id)

    def is_confirmed(self, name: str) -> bool:
        """Whether MAAS has accepted a request for a batch, as far as is known here."""
        requests = self.of(name)
        return not requests or any(each.state is RequestState.ACCEPTED for each in requests)

    def under_way(self) -> Iterator[Requested]:
        """The batches with requests that MAAS has not answered."""
        return (batch for batch in self._batches.values() if batch.under_way)

    def batch_of(self, member: Handle) -> Handle | None:
        """The batch to which a member's run belongs."""
        for batch in self._batches.values():
            request = batch.by_machine.get(member.system_id)
            if request is not None and request.handle == member:
                return batch.handle
        return None
