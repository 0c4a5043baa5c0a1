"""Lifecycles: the statuses in which an operation starts, runs and ends, and their meaning."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from maas_mcp.maas.models import Event, Machine
from maas_mcp.maas.statuses import RUN_FIELDS, MachineStatus
from maas_mcp.operations.judging.declared_statuses import declared_statuses
from maas_mcp.operations.judging.timeline import TESTED_BY_COMMISSIONING, arrives, enters, leaves


class Verdict(Enum):
    """The verdict on an operation."""

    PENDING = auto()
    """Running, or not seen to have started."""
    SUCCEEDED = auto()
    FAILED = auto()
    REVERTED = auto()
    """Ended in another way: aborted, released or replaced by another run, or reverted by MAAS."""
    GONE = auto()
    """The machine was deleted."""
    UNKNOWN = auto()
    """The machine has a status that this release does not know. Following continues."""

    @property
    def final(self) -> bool:
        """Whether the verdict is final."""
        return self not in {Verdict.PENDING, Verdict.UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """The statuses in which an operation starts, runs and ends.

    Args:
        start_from: The statuses in which MAAS accepts the operation.
        pending: The statuses while the operation runs. The machine may pass through several.
        begins_in: The subset of ``pending`` in which the operation can start. Set it if another operation starts
            directly in one of the others. For example, commissioning starts in *Commissioning* and continues in
            *Testing*, but a test starts in *Testing*. The default is all of ``pending``.
        success: The statuses after success. They may overlap ``start_from``: commissioning starts and ends in *Ready*.
            So success counts only after a pending status or a new script set was seen.
        failure: The statuses after failure.
        gone: The verdict if a virtual machine of a VM host is deleted during the operation. Use ``Verdict.SUCCEEDED``
            if MAAS deletes it itself, as it does when it releases a machine that it composed. Any other deleted machine
            is ``GONE``.
    """

    start_from: frozenset[MachineStatus]
    pending: frozenset[MachineStatus]
    success: frozenset[MachineStatus]
    failure: frozenset[MachineStatus]
    begins_in: frozenset[MachineStatus]
    gone: Verdict

    def __init__(
        self,
        *,
        start_from: Collection[MachineStatus],
        pending: Collection[MachineStatus],
        success: Collection[MachineStatus],
        failure: Collection[MachineStatus] = (),
        begins_in: Collection[MachineStatus] | None = None,
        gone: Verdict = Verdict.GONE,
    ) -> None:
        for name, statuses in (
            ("start_from", start_from),
            ("pending", pending),
            ("success", success),
            ("failure", failure),
            ("begins_in", pending if begins_in is None else begins_in),
        ):
            object.__setattr__(self, name, declared_statuses(name, statuses))
        if not isinstance(gone, Verdict):
            raise TypeError(
                f"Lifecycle: `gone`: expected a Verdict, but it is {gone!r}. "
                "Write `gone=Verdict.SUCCEEDED`, or omit it."
            )
        object.__setattr__(self, "gone", gone)
        overlap = self.pending & (self.success | self.failure)
        if overlap or not (self.start_from and self.pending and self.success):
            raise ValueError(
                "Lifecycle: expected at least one status each in start_from, pending and success, and no status of "
                f"pending in success or failure; got {self!r}. List statuses in which MAAS is still working in pending "
                "only."
            )

        if not self.begins_in or not self.begins_in <= self.pending:
            raise ValueError(
                f"Lifecycle: expected a non-empty subset of `pending` in `begins_in`; got {self!r}. "
                "Omit `begins_in`, unless another operation passes through the same statuses."
            )

    def verdict(self, status: MachineStatus) -> Verdict:
        """Return the meaning of a status after the operation has started."""
        if status in self.pending:
            return Verdict.PENDING
        if status in self.success:
            return Verdict.SUCCEEDED
        return Verdict.FAILED if status in self.failure else Verdict.REVERTED

    def verdict_if_gone(self, *, on_vm_host: bool) -> Verdict:
        """Return the meaning of the machine's deletion."""
        return self.gone if on_vm_host else Verdict.GONE

    def is_entered_by(self, event: Event) -> bool:
        """Whether ``event`` starts a run: it moves the machine from a non-pending status into one of ``begins_in``."""
        return enters(self.pending, event, self.begins_in)

    def may_be_at(self, machine: Machine, events: Iterable[Event]) -> bool:
        """Whether ``machine`` may be running this operation, judged by the newest ``events``, oldest first."""
        if machine.status not in self.pending:
            return False
        arrived = [event for event in events if arrives(self.pending, event)]
        if machine.status in self.begins_in:
            return not arrived or arrived[-1].status_change != TESTED_BY_COMMISSIONING
        began = next((event for event in reversed(arrived) if self.is_entered_by(event)), None)
        left = [event for event in events if began is not None and event.id > began.id and leaves(self.pending, event)]
        return not arrived or (began is not None and not left)

    @property
    def hides_an_undoing(self) -> bool:
        """Whether a reverted run can end in the same status as a successful one, as a test can."""
        return bool(self.start_from & self.success)

    def runs(self, machine: Machine) -> tuple[int | None, ...]:
        """Return the script set ids that identify the machine's latest run, ordered by MAAS's status numbers.

        Empty if the operation has no script sets, or if MAAS's response about one of them is invalid.
        """
        statuses = self._with_runs
        if not {RUN_FIELDS[status] for status in statuses}.isdisjoint(machine.unreadable):
            return ()
        return tuple(machine.run(status) for status in statuses)

    @property
    def _with_runs(self) -> list[MachineStatus]:
        return [status for status in sorted(self.pending) if status in RUN_FIELDS]

    def shows_start(self, machine: Machine, before: Sequence[int | None], runs: Sequence[int | None]) -> bool:
        """Whether a read shows that the operation has started, by its status or a new script set.

        Args:
            machine: The machine as it was read.
            before: The script sets of the earlier runs; empty if unknown.
            runs: The new script sets, ordered as in :meth:`runs`.
        """
        if machine.status in (self.begins_in if before else self.pending):
            return True
        pairs = zip(self._with_runs, runs, strict=False)  # empty if they could not be read
        return any(run is not None and status in self.begins_in for status, run in pairs)
