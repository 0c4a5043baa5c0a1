"""Disks, partitions, filesystems, volume groups and layouts of machines."""

from typing import Any

import pytest

DISK = "nodes/7xneda/blockdevices/10/"
MACHINE = "machines/7xneda/"
ROOM = 479_991_955_456
"""The room for partitions on a disk of 480 GB."""
PART = 100_000_001
"""The id of the first partition that a request makes."""
VOLUME = 10_000_001
Step = tuple[str, str, dict[str, str], int, object]

BLANK: Step = ("POST", f"{MACHINE}?op=set_storage_layout", {"storage_layout": "blank"}, 200, {"volume_groups": []})
NEW_PARTITION: Step = ("POST", f"{DISK}partitions/", {"size": "10G"}, 200, {"id": PART, "size": 9_999_220_736})
OF_DISK, OF_PARTITION = "block device", "partition"
UNUSED = {"used_for": "Unused", "filesystem": None}


def on(holder: str, op: str, form: dict[str, str], status: int, expected: object) -> Step:
    return ("POST", f"{holder}?op={op}", form, status, expected)


def layout(form: dict[str, str], status: int, expected: object) -> Step:
    return on(MACHINE, "set_storage_layout", form, status, expected)


FORMATTED = {"fstype": "ext4", "label": "", "mount_point": None, "mount_options": None}
STORIES: dict[str, list[Step]] = {
    "a blank disk has all its space": [
        BLANK,
        ("GET", DISK, {}, 200, {"available_size": ROOM, "used_size": 0, "used_for": "Unused", "partitions": []}),
        ("GET", f"{DISK}partitions/", {}, 500, "PartitionTable matching query does not exist."),
        ("GET", f"{DISK}partition/{PART}", {}, 404, "No PartitionTable matches the given query."),
    ],
    "a partition is whole blocks, and the rest stays free": [
        BLANK,
        NEW_PARTITION,
        ("GET", DISK, {}, 200, {"available_size": ROOM - 9_999_220_736, "used_size": 10_005_512_192}),
        ("POST", f"{DISK}partitions/", {}, 200, {"size": ROOM - 9_999_220_736}),
        ("GET", DISK, {}, 200, {"available_size": 0, "used_for": "GPT partitioned with 2 partitions"}),
        ("DELETE", f"{DISK}partition/{PART}", {}, 204, None),
        ("GET", f"{DISK}partition/{PART}", {}, 404, "No Partition matches the given query."),
        ("GET", DISK, {}, 200, {"available_size": 9_999_220_736}),
    ],
    "the size of a partition has limits": [
        BLANK,
        ("POST", f"{DISK}partitions/", {"size": "x"}, 400, {"size": ["Enter a valid value."]}),
        (
            *("POST", f"{DISK}partitions/", {"size": "1"}, 400),
            {"size": ["Ensure this value is greater than or equal to 4194304."]},
        ),
        (
            *("POST", f"{DISK}partitions/", {"size": "1T"}, 400),
            {"size": [f"Ensure this value is less than or equal to {ROOM}."]},
        ),
    ],
    **{
        f"a {noun} is formatted and mounted": [
            BLANK,
            NEW_PARTITION,
            *(() if noun == OF_PARTITION else (("DELETE", f"{DISK}partition/{PART}", {}, 204, None),)),
            on(holder, "format", {}, 400, {"fstype": ["This field is required."]}),
            on(holder, "mount", {"mount_point": "/srv"}, 501, None),
            on(holder, "format", {"fstype": "ext4"}, 200, {"used_for": "Unmounted ext4 formatted filesystem"}),
            on(holder, "mount", {"mount_point": "srv"}, 400, {"mount_point": ["Enter a valid value."]}),
            on(holder, "mount", {"mount_point": "/"}, 200, {"used_for": "ext4 formatted filesystem mounted at /"}),
            on(holder, "unmount", {}, 200, {"used_for": "Unmounted ext4 formatted filesystem"}),
            on(holder, "unformat", {}, 200, UNUSED),
            on(holder, "add_tag", {}, 400, "No provided tag!"),
            on(holder, "add_tag", {"tag": "fast"}, 200, UNUSED),
            on(holder, "remove_tag", {"tag": "fast"}, 200, UNUSED),
        ]
        for noun, holder in ((OF_DISK, DISK), (OF_PARTITION, f"{DISK}partition/{PART}"))
    },
    "two filesystems are not mounted at one place": [
        BLANK,
        NEW_PARTITION,
        on(f"{DISK}partition/{PART}", "format", {"fstype": "xfs", "label": "data"}, 200, {"size": 9_999_220_736}),
        on(MACHINE, "mount_special", {"fstype": "tmpfs", "mount_point": "/srv"}, 200, {}),
        on(
            *(f"{DISK}partition/{PART}", "mount", {"mount_point": "/srv"}, 400),
            {"__all__": ["Another filesystem is already mounted at /srv."]},
        ),
        on(MACHINE, "unmount_special", {"mount_point": "/srv"}, 200, {"special_filesystems": []}),
        on(f"{DISK}partition/{PART}", "mount", {"mount_point": "/srv"}, 200, {"bootable": False}),
    ],
    "a flat layout takes its sizes": [
        layout({"storage_layout": "flat", "boot_size": "1G", "root_size": "50%"}, 200, {}),
        ("GET", f"{DISK}partition/{PART}", {}, 200, {"bootable": True, "size": 998_244_352}),
        ("GET", f"{DISK}partition/{PART + 1}", {}, 200, {"size": 239_998_074_880}),
    ],
    "a volume group has a volume for the root": [
        layout({"storage_layout": "lvm", "lv_size": "100G", "lv_name": "system"}, 200, {}),
        (
            *("GET", "nodes/7xneda/volume-group/vgroot/", {}, 200),
            {"size": ROOM - 4_194_304, "used_size": 99_996_401_664, "human_used_size": "100.0 GB"},
        ),
        ("GET", "nodes/7xneda/blockdevices/vgroot-system/", {}, 200, {"type": "virtual", "id": VOLUME}),
        on("nodes/7xneda/volume-group/1/", "create_logical_volume", {"name": "data"}, 200, {"name": "vgroot-data"}),
        on("nodes/7xneda/volume-group/1/", "delete_logical_volume", {"id": f"{VOLUME}"}, 204, None),
        ("DELETE", "nodes/7xneda/volume-group/1/", {}, 204, None),
        ("GET", f"nodes/7xneda/blockdevices/{VOLUME + 1}/", {}, 404, "No BlockDevice matches the given query."),
        ("GET", DISK, {}, 200, {"used_for": "GPT partitioned with 1 partition"}),
    ],
    "a volume group is made of what is unused": [
        BLANK,
        NEW_PARTITION,
        (
            *("POST", "nodes/7xneda/volume-groups/", {"name": "vg", "partitions": "9"}, 400),
            {"partitions": ["Select a valid choice. 9 is not one of the available choices."]},
        ),
        ("POST", "nodes/7xneda/volume-groups/", {"name": "vg", "partitions": f"{PART}"}, 200, {"name": "vg"}),
        ("GET", f"{DISK}partition/{PART}", {}, 200, {"used_for": "LVM volume for vg"}),
        ("DELETE", f"{DISK}partition/{PART}", {}, 501, None),
    ],
    "a layout's name and device are choices": [
        layout({}, 400, {"storage_layout": ["This field is required."]}),
        layout(
            {"storage_layout": "flat", "root_device": "9"},
            400,
            {"root_device": ["'9' is not a valid root_device.  It should be one of: '10'."]},
        ),
        layout({"storage_layout": "flat", "root_size": "x"}, 400, {"root_size": ["Enter a valid value."]}),
        layout({"storage_layout": "vmfs6"}, 501, None),
        layout({"storage_layout": "flat", "root_size": "900G"}, 501, None),
    ],
    "a disk is added, changed, chosen to boot from and deleted": [
        (
            *("POST", "nodes/7xneda/blockdevices/", {"name": "sdz"}, 400),
            {"size": ["This field is required."], "block_size": ["This field is required."]},
        ),
        (
            "POST",
            "nodes/7xneda/blockdevices/",
            {"name": "sdz", "size": "20G", "block_size": "512", "id_path": "/dev/sdz"},
            200,
            {"id": VOLUME, "used_for": "Unused", "available_size": 19_990_052_864},
        ),
        ("PUT", f"nodes/7xneda/blockdevices/{VOLUME}/", {"name": "data"}, 200, {"path": "/dev/disk/by-dname/data"}),
        on("nodes/7xneda/blockdevices/data/", "set_boot_disk", {}, 200, None),
        ("GET", MACHINE, {}, 200, {"storage": 500_000.0}),
        ("DELETE", DISK, {}, 204, None),
        ("GET", MACHINE, {}, 200, {"storage": 20_000.0}),
    ],
}


@pytest.mark.parametrize("story", STORIES)
def test_storage(admin: Any, story: str) -> None:
    for method, path, form, status, expected in STORIES[story]:
        answer = admin.send(method, path, data=form)
        assert answer.status_code == status, (method, path, form, answer.text)
        match expected:
            case str():
                assert answer.text == expected
            case dict() if status == 400:
                assert answer.json() == expected
            case dict():
                shown = answer.json()
                assert {name: shown[name] for name in expected} == expected, path


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "blockdevices/", "create block device because the machine is not Ready."),
        ("DELETE", "blockdevices/{}0/", "delete block device because the machine is not Ready."),
        ("POST", "blockdevices/{}0/?op=format", "format block device because the machine is not Ready or Allocated."),
        ("POST", "blockdevices/{}0/partitions/", "create partition because the machine is not Ready or Allocated."),
        ("POST", "volume-groups/", "create volume group because the machine is not Ready or Allocated."),
    ],
)
def test_the_storage_of_a_deployed_machine_stays(admin: Any, method: str, path: str, words: str) -> None:
    machine = admin.region.machine("node07")
    answer = admin.send(method, f"nodes/{machine.system_id}/{path.format(machine.number)}")
    assert (answer.status_code, answer.text) == (409, f"Cannot {words}")


def test_filesystems_that_an_owner_changes_are_restored_on_release(admin: Any, clock: Any) -> None:
    admin.post("machines/?op=allocate", system_id="7xneda")
    path = f"{DISK}partition/101"
    assert admin.send("POST", f"{path}?op=unmount").json()["filesystem"]["mount_point"] is None
    admin.op("node01", "release")
    clock.pass_(3600)
    assert admin.get(path).json()["filesystem"]["mount_point"] == "/"


def test_commissioning_applies_the_default_layout(admin: Any, clock: Any) -> None:
    admin.post("maas/?op=set_config", name="default_storage_layout", value="lvm")
    admin.op("node01", "commission")
    assert admin.read("node01")["volume_groups"] == []
    clock.pass_(3600)
    assert [each["name"] for each in admin.read("node01")["volume_groups"]] == ["vgroot"]
