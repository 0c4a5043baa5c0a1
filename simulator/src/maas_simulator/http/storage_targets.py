"""What a path below a machine's storage names, and the checks that all of its operations have in common."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Final

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.render import machine_json
from maas_simulator.http.storage_views import device_json, group_json, partition_json
from maas_simulator.model.disks import Storage
from maas_simulator.model.fields import RecordForm
from maas_simulator.model.forms import Form
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record
from maas_simulator.model.refusals import conflict, not_found, not_simulated
from maas_simulator.model.scripts import JSON
from maas_simulator.model.statuses import Status
from maas_simulator.model.storage import changeable_storage

READY: Final = frozenset({Status.READY})
FREE: Final = frozenset({Status.READY, Status.ALLOCATED})


@dataclass(frozen=True)
class Target:
    """What a path names: a machine with its storage, or a volume group, block device or partition there."""

    call: Call
    machine: SimulatedMachine
    storage: Storage
    kind: str = "Machine"
    record: Record = field(default_factory=dict)
    device: Record = field(default_factory=dict)
    """The block device of a partition."""

    def clean(self, form: RecordForm, given: Form | None = None, old: Record | None = None) -> Record:
        """Read the request by a form."""
        return form.clean(self.call.region.tables, self.call.form if given is None else given, None, old)

    def new_id(self, kind: str) -> int:
        """Return an id for a new object."""
        return self.call.region.tables.take_id(kind)

    def view(self) -> JSON:
        """The object as JSON."""
        match self.kind:
            case "VolumeGroup":
                return group_json(self.machine, self.storage, self.record)
            case "BlockDevice":
                return device_json(self.machine, self.storage, self.record)
            case "Partition":
                return partition_json(self.machine, self.storage, self.device, self.record)
        return machine_json(self.call.region, self.machine)


@dataclass(frozen=True)
class StorageOperation:
    """An operation on the storage of a machine. MAAS's 409 has the ``words``, with the kind of object for ``{}``."""

    change: Callable[[Target], Target | Answer | None]
    """Carries it out, and returns the answer or the object to show, if it is another one."""
    words: str
    permission: str = "configure"
    statuses: Collection[Status] = FREE

    def __call__(self, call: Call) -> Answer:
        """Check who may do this and when, and do it."""
        found = find(call)
        call.check_permission(self.permission, found.machine)
        if found.machine.status not in self.statuses:
            words = self.words.format("partition" if found.kind == "Partition" else "block device")
            names = "Ready or Allocated" if Status.ALLOCATED in self.statuses else "Ready"
            raise conflict(f"Cannot {words} because the machine is not {names}.")
        result = self.change(found) or found
        found.machine.storage = found.storage
        return result if isinstance(result, Answer) else Answer(result.view())


def find(call: Call) -> Target:
    """Find what the path names."""
    kind = "VolumeGroup" if "/volume-group/" in call.path else "BlockDevice"
    machine = call.machine("Machine" if len(call.parts) == 1 else kind)
    target = Target(call, machine, changeable_storage(machine))
    if len(call.parts) == 1:
        return target
    table = target.storage.groups if kind == "VolumeGroup" else target.storage.devices
    found = _named(kind, table.values(), call.parts[1])
    if "/partition/" not in call.path:
        return replace(target, kind=kind, record=found)
    if not found["partitions"]:
        raise not_found("PartitionTable")
    partition = _named("Partition", found["partitions"], call.parts[2])
    return replace(target, kind="Partition", record=partition, device=found)


def _named(kind: str, records: Collection[Record], name: str) -> Record:
    for each in records:
        if name in (str(each["id"]), each.get("name")):
            return each
    raise not_found(kind)


def refuse(condition: object, what: str) -> None:
    """Stand for a rejection whose words are not known."""
    if condition:
        raise not_simulated(f"MAAS's rejection of {what}")
