"""The statuses that an operation begins in, passes through and ends in, and what each of them means."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from maas_mcp.maas.models import Event, Machine
from maas_mcp.maas.statuses import RUN_FIELDS, MachineStatus
from maas_mcp.operations.judging.declared_statuses import declared_statuses
from maas_mcp.operations.judging.timeline import TESTED_BY_COMMISSIONING, arrives, enters, leaves


class Verdict(Enum):
    """What an operation has come to."""

    PENDING = auto()
    """Under way, or not seen to have begun."""
    SUCCEEDED = auto()
    FAILED = auto()
    REVERTED = auto()
    """Ended from outside: aborted, released, or taken over by another run."""
    GONE = auto()
    """The machine is no longer there."""
    UNKNOWN = auto()
    """The machine has a status that this release does not know; whoever follows it goes on."""

    @property
    def final(self) -> bool:
        """Whether nothing more is to be expected."""
        return self not in {Verdict.PENDING, Verdict.UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """The statuses that an operation begins in, passes through and ends in.

    Args:
        start_from: Where MAAS accepts the operation.
        pending: What the machine shows while the operation runs; the first one it passes need not be the only one.
        begins_in: Those of ``pending`` that the operation enters first, if another operation enters the rest directly:
            a commissioning begins in *Commissioning*, and goes on to *Testing*, in which a mere test begins. By
            default all of them.
        success: Where it has succeeded. A status may be in ``start_from`` as well: commissioning starts and ends in
            *Ready*, so success counts only after a pending status, or a new script set, was seen.
        failure: Where it has failed.
        gone: What it means when a virtual machine of a VM host is deleted meanwhile: ``Verdict.SUCCEEDED`` where MAAS
            itself does that, as when one is released that it had composed. Any other machine is ``GONE`` then.
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
                "Write `gone=Verdict.SUCCEEDED`, or leave it out."
            )
        object.__setattr__(self, "gone", gone)
        overlap = self.pending & (self.success | self.failure)
        if overlap or not (self.start_from and self.pending and self.success):
            raise ValueError(
                "Lifecycle: expected at least one status each in start_from, pending and success, and none that is "
                f"both pending and an end; got {self!r}. Move the statuses in which MAAS is still at work to pending."
            )

        if not self.begins_in or not self.begins_in <= self.pending:
            raise ValueError(
                f"Lifecycle: expected some of the statuses of `pending` in `begins_in`; got {self!r}. "
                "Leave `begins_in` out, unless another operation passes through the same statuses."
            )

    def verdict(self, status: MachineStatus) -> Verdict:
        """What a status means once the operation has started."""
        if status in self.pending:
            return Verdict.PENDING
        if status in self.success:
            return Verdict.SUCCEEDED
        return Verdict.FAILED if status in self.failure else Verdict.REVERTED

    def verdict_if_gone(self, *, on_vm_host: bool) -> Verdict:
        """What the machine's deletion means."""
        return self.gone if on_vm_host else Verdict.GONE

    def is_entered_by(self, event: Event) -> bool:
        """Whether ``event`` takes the machine into a status of ``begins_in`` from outside: the start of a run."""
        return enters(self.pending, event, self.begins_in)

    def may_be_at(self, machine: Machine, events: Iterable[Event]) -> bool:
        """Whether what ``machine`` is at may be this operation, by the newest ``events``, oldest first."""
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
        """Whether a run that was undone may end where one that succeeded does: a test ends where it began."""
        return bool(self.start_from & self.success)

    def runs(self, machine: Machine) -> tuple[int | None, ...]:
        """The identity of the machine's latest run: its script sets, in the order of MAAS's status numbers.

        Empty where the operation has none, and where MAAS's answer about one of them cannot be read.
        """
        statuses = self._with_runs
        if not {RUN_FIELDS[status] for status in statuses}.isdisjoint(machine.unreadable):
            return ()
        return tuple(machine.run(status) for status in statuses)

    @property
    def _with_runs(self) -> list[MachineStatus]:
        return [status for status in sorted(self.pending) if status in RUN_FIELDS]

    def shows_start(self, machine: Machine, before: Sequence[int | None], runs: Sequence[int | None]) -> bool:
        """Whether a read shows that the operation has begun: its status, or a script set that is new.

        Args:
            machine: The machine as it was read.
            before: The script sets of the runs before, or none where they are not known.
            runs: The script sets that are new, as :meth:`runs` orders them.
        """
        if machine.status in (self.begins_in if before else self.pending):
            return True
        pairs = zip(self._with_runs, runs, strict=False)  # there may be none that can be read
        return any(run is not None and status in self.begins_in for status, run in pairs)
