"""The storage of one machine as MAAS stores it: its block devices, and what is made of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from maas_simulator.model.records import Record, Table

PHYSICAL, VIRTUAL = "physical", "virtual"


def group_of(holder: Record) -> int | None:
    """The volume group to which a device or partition belongs."""
    group: int | None = holder["filesystem"] and holder["filesystem"]["group"]
    return group


@dataclass
class Storage:
    """The storage of a machine as MAAS knows it."""

    devices: Table = field(default_factory=lambda: Table("BlockDevice"))
    groups: Table = field(default_factory=lambda: Table("VolumeGroup"))
    special: list[Record] = field(default_factory=list)
    """The filesystems without a device, such as ``tmpfs``."""
    boot_disk: int | None = None
    kept: list[tuple[Record, Record | None]] | None = None
    """The filesystems that devices and partitions get back on release, if they were changed since the allocation."""

    def of_type(self, kind: str) -> list[Record]:
        """The block devices of a type."""
        return self.devices.where(type=kind)

    def holders(self) -> Iterator[Record]:
        """The block devices and partitions, each of which may have a filesystem."""
        for device in self.devices.values():
            yield device
            yield from device["partitions"]

    def members(self, group: Record) -> list[Record]:
        """The devices and partitions of a volume group."""
        return [each for each in self.holders() if group_of(each) == group["id"]]

    def mounted_at(self, mount_point: str) -> Record | None:
        """The filesystem at a mount point."""
        every = (*self.special, *(each["filesystem"] for each in self.holders() if each["filesystem"]))
        return next((each for each in every if each["mount_point"] == mount_point), None)

    def keep(self) -> None:
        """Keep the filesystems for the release: MAAS changes copies while a machine is in use."""
        if self.kept is None:
            self.kept = [(each, each["filesystem"]) for each in self.holders()]
            for each, before in self.kept:
                each["filesystem"] = before and dict(before)

    def give_back(self) -> None:
        """Restore the kept filesystems."""
        for each, before in self.kept or ():
            each["filesystem"] = before
        self.kept = None

    def clear(self) -> None:
        """Remove all that is configured on the disks."""
        for device in self.of_type(VIRTUAL):
            del self.devices[device["id"]]
        self.groups.clear()
        for disk in self.devices.values():
            disk["partitions"], disk["filesystem"] = [], None
