"""What a path below a machine's storage names, and the checks that all of its operations have in common."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.storage_views import device_json, group_json, partition_json
from maas_simulator.model.disks import Storage
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record
from maas_simulator.model.refusals import conflict, forbidden, not_found, not_simulated
from maas_simulator.model.scripts import JSON
from maas_simulator.model.statuses import Status
from maas_simulator.model.storage import changeable_storage

READY: Final = frozenset({Status.READY})
FREE: Final = frozenset({Status.READY, Status.ALLOCATED})


@dataclass(frozen=True)
class Target:
    """What a path names: the storage of a machine, and a volume group, block device or partition there."""

    machine: SimulatedMachine
    storage: Storage
    group: Record | None = None
    device: Record | None = None
    partition: Record | None = None

    @property
    def record(self) -> Record:
        """The object itself."""
        return self.partition or self.device or self.group or {}

    @property
    def noun(self) -> str:
        """The name in MAAS's messages."""
        return "partition" if self.partition else "block device"

    def view(self) -> JSON:
        """The object as JSON."""
        if self.group is not None:
            return group_json(self.machine, self.storage, self.group)
        if self.device is not None and self.partition is not None:
            return partition_json(self.machine, self.storage, self.device, self.partition)
        return device_json(self.machine, self.storage, self.record)


Change = Callable[[Call, Target], Answer | None]
"""Carries out an operation, and returns the answer unless it is the object."""


@dataclass(frozen=True)
class StorageOperation:
    """An operation on the storage of a machine. MAAS's 409 has the ``words``, with the kind of object for ``{}``."""

    change: Change
    words: str
    permission: str = "edit"
    statuses: Collection[Status] = FREE

    def __call__(self, call: Call) -> Answer:
        """Check who may do this and when, and do it."""
        found = find(call)
        words = self.words.format(found.noun)
        check_change(call, found.machine, words, self.permission, self.statuses)
        if found.machine.status is Status.READY and not call.user.is_superuser:
            raise forbidden()
        answer = self.change(call, found)
        found.machine.storage = found.storage
        return answer or Answer(found.view())


def check_change(
    call: Call, machine: SimulatedMachine, words: str, permission: str = "edit", statuses: Collection[Status] = FREE
) -> None:
    """Check who may change storage, and when."""
    call.check_permission(permission, machine)
    if machine.status not in statuses:
        names = "Ready or Allocated" if Status.ALLOCATED in statuses else "Ready"
        raise conflict(f"Cannot {words} because the machine is not {names}.")


def find(call: Call) -> Target:
    """Find what the path names."""
    kind = "VolumeGroup" if "/volume-group/" in call.path else "BlockDevice"
    machine = call.machine("Machine" if len(call.parts) == 1 else kind)
    target = Target(machine, changeable_storage(machine))
    if len(call.parts) == 1:
        return target
    table = target.storage.groups if kind == "VolumeGroup" else target.storage.devices
    found = _named(kind, table.values(), call.parts[1])
    if kind == "VolumeGroup":
        return replace(target, group=found)
    target = replace(target, device=found)
    if "/partition/" not in call.path:
        return target
    if not found["partitions"]:
        raise not_found("PartitionTable")
    return replace(target, partition=_named("Partition", found["partitions"], call.parts[2]))


def _named(kind: str, records: Collection[Record], name: str) -> Record:
    for each in records:
        if name in (str(each["id"]), each.get("name")):
            return each
    raise not_found(kind)


def refuse(condition: object, what: str) -> None:
    """Stand for a rejection whose words are not known."""
    if condition:
        raise not_simulated(f"MAAS's rejection of {what}")
