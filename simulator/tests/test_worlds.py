"""World files: their content is applied, and errors are reported with their place."""

import re
from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import Fault, SimulatedRegion, User, World, WorldFileError, generated_region, read_world
from maas_simulator.worlds.world import MachinesOfWorld
from simulator.tests.conftest import Maas

WORLD = """\
speed: 30
users:
  - {name: ann, superuser: true}
  - {name: ben}
zones: {north: In the north, south: }
pools: {web: }
tags: {gpu: has a GPU, ssd: }
racks: {rack1: hall-1, rack2: hall-2}
subnets:
  - {name: a, cidr: 10.1.0.0/22, rack: rack1}
  - {name: b, cidr: 10.2.0.0/24, gateway: 10.2.0.1, rack: rack2}
images: [ubuntu/noble]
machines:
  - hostname: db01
    system_id: dbmain
    status: Deployed
    owner: ben
    locked: true
    zone: north
    pool: web
    tags: [gpu, ssd]
    cpu_count: 64
    memory: 262144
    subnet: b
    disks: [{name: nvme0n1, size: 960}]
  - hostname: node{:03}
    count: 100
    status: {Ready: 8, Deployed: 1, New: 1}
    zone: [north, south]
    tags: [[gpu], [ssd], []]
    subnet: a
plans:
  - {machine: node001, fail: Installing OS, reason: no space}
faults:
  - {path: events/, status: 503, times: 2}
"""


def written(tmp_path: Path, text: str, name: str = "world.yaml") -> Path:
    (file := tmp_path / name).write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def world(tmp_path: Path) -> SimulatedRegion:
    return read_world(written(tmp_path, WORLD))


def test_a_machine_matches_the_world_file(world: SimulatedRegion) -> None:
    admin = Maas(world, world.api_key)
    assert world.schedule.speed == 30
    assert admin.get("users/?op=whoami").json()["username"] == "ann"
    machine = admin.read("db01")
    wanted = {"system_id": "dbmain", "status_name": "Deployed", "owner": "ben", "locked": True, "cpu_count": 64}
    assert wanted.items() <= machine.items()
    assert (machine["zone"]["name"], machine["pool"]["name"], machine["tag_names"]) == ("north", "web", ["gpu", "ssd"])
    assert machine["storage"] == 960_000
    assert machine["boot_interface"]["vlan"]["primary_rack"] == "rack2"
    assert ip_address(machine["ip_addresses"][0]) in ip_network("10.2.0.0/24")


def test_values_are_distributed_evenly_over_many_machines(world: SimulatedRegion) -> None:
    machines = [machine for machine in world.machines.values() if machine.hostname.startswith("node")]
    assert len(machines) == 100
    assert Counter(machine.status_name for machine in machines) == {"Ready": 80, "Deployed": 10, "New": 10}
    assert Counter(machine.zone for machine in machines) == {"north": 50, "south": 50}
    assert max(Counter(machine.tag_names for machine in machines).values()) == 34
    assert len({(machine.zone, machine.tag_names, machine.status) for machine in machines}) > 10
    assert {machine.owner for machine in machines if machine.status_name == "Deployed"} == {"ann"}
    assert all(ip_address(machine.own_address) in ip_network("10.1.0.0/22") for machine in machines)


def test_a_world_is_the_same_each_time_it_is_read(tmp_path: Path, world: SimulatedRegion) -> None:
    again = read_world(tmp_path / "world.yaml")
    shown = [[(m.system_id, m.status, m.zone, m.tag_names) for m in each.machines.values()] for each in (world, again)]
    assert shown[0] == shown[1]


def test_the_rest_of_the_world_file_is_applied_too(world: SimulatedRegion) -> None:
    admin = Maas(world, world.api_key)
    assert [zone["name"] for zone in admin.get("zones/").json()] == ["default", "north", "south"]
    assert [subnet["cidr"] for subnet in admin.get("subnets/").json()] == ["10.1.0.0/22", "10.2.0.0/24"]
    assert {image["name"] for image in admin.get("boot-resources/").json()} == {"ubuntu/noble"}
    assert admin.op("node002", "deploy", distro_series="jammy").status_code == 400
    assert admin.op("node002", "deploy").status_code == 200
    assert [plan.reason for plan in world.plans()] == ["no space"]
    assert [admin.get("events/?op=query").status_code for _ in range(3)] == [503, 503, 200]


def test_a_disconnected_rack_affects_only_its_own_machines(world: SimulatedRegion) -> None:
    admin = Maas(world, world.api_key)
    world.rack_down("rack1")
    assert admin.op("node001", "deploy").status_code == 500
    assert "controller rack1;" in admin.op("node001", "power_off").text
    world.rack_down("rack1", down=False)
    world.rack_down("rack2")
    assert admin.op("node001", "deploy").status_code == 200


def test_two_regions_of_one_world_share_nothing() -> None:
    world = World(machines=[MachinesOfWorld(hostname="a")], faults=[Fault(status=503)])
    first, second = world.region(), world.region()
    assert Maas(first, first.api_key).get("version/").status_code == 503
    assert Maas(second, second.api_key).get("version/").status_code == 503


def test_an_empty_file_is_a_region_without_machines(tmp_path: Path) -> None:
    region = read_world(written(tmp_path, ""))
    assert not region.machines
    assert Maas(region, region.api_key).get("machines/").json() == []


def test_the_requested_speed_overrides_the_file(tmp_path: Path) -> None:
    assert read_world(written(tmp_path, WORLD), speed=0).schedule.speed == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{a: b}: c", "line 1, column 1: found unhashable key"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed"),
        ("- a\n- b\n", "line 1: expected an object with keys and values"),
        ("zones: [north]", "line 1: zones: expected an object with keys and values"),
        ("faults: [3]", "line 1: faults[0]: expected an object with keys and values"),
        ("speed: fast", "line 1: speed: Input should be a valid number"),
        ("zones:\n  a: b\nmachine: []", "line 3: machine: unknown key; the keys are: speed, users, zones"),
        ("machines:\n  - status: Ready", "line 2: machines[0].hostname: Field required"),
        ("machines:\n  - hostname: a\n    cpus: 4", "line 3: machines[0].cpus: unknown key; the keys are: hostn"),
        (
            "machines:\n  - hostname: a\n    status: Rusty",
            "line 3: machines[0].status.Rusty: Input should be 'New', 'Ready'",
        ),
        (
            "machines:\n  - hostname: a\n    zone: west",
            "line 3: machines[0].zone: there is no zone 'west'; known: d",
        ),
        ("machines:\n  - hostname: a\n    tags: [x]", "line 3: machines[0].tags: there is no tag 'x'; known: gpu"),
        ("machines:\n  - hostname: a\n    pool: x", "machines[0].pool: there is no resource pool 'x'"),
        ("machines:\n  - hostname: a\n    subnet: x", "machines[0].subnet: there is no subnet 'x'; known: pxe"),
        (
            "machines:\n  - hostname: a\n    status: Deployed\n    owner: x",
            "machines[0].owner: there is no user 'x'; known: admin, bob",
        ),
        (
            "machines:\n  - hostname: a\n  - hostname: a",
            "line 3: machines[1].hostname: two machines have the hostname a; hostnames must be unique",
        ),
        ("machines:\n  - hostname: n\n    count: 2", "line 2: machines[0]: hostname needs a {} for the number"),
        ("machines:\n  - hostname: n{x}", "machines[0]: hostname is not a format for one number: 'n{x}'"),
        ("machines:\n  - {hostname: 'n{}', count: 2, system_id: x}", "system_id is allowed only for a single machine"),
        ("machines:\n  - {hostname: 'n{}', count: 55}", "subnet pxe (10.10.0.0/24) has room for 54 machines"),
        ("users: [{name: ann}]", "line 1: users: at least one user must be a superuser"),
        ("racks: {r: h}", "line 1: racks: there is no rack controller of the default subnet 'bwdhs4'"),
        ("subnets:\n  - {name: a, cidr: 10.0.0.0/24, rack: r}", "subnets[0].rack: there is no rack controller 'r'"),
        (
            "subnets:\n  - {name: a, cidr: 10.0.0.0/30}",
            "subnets[0]: the prefix of cidr must be from /8 to /24; it was /30",
        ),
        ("subnets:\n  - {name: a, cidr: here}", "line 2: subnets[0].cidr: Input is not a valid IPv4 network"),
        ("faults:\n  - {op: deply}", "line 2: faults[0].op: MAAS has no operation 'deply'"),
        ("zones:\n  1: first", "line 2: zones: Input should be a valid string; it was 1, so put it in quotes"),
        ("tags: {0: zero}", "line 1: tags: Input should be a valid string; it was 0, so put it in quotes"),
        ("zones: {a/b: no way}", "line 1: zones.a/b: String should match pattern"),
        ("machines:\n  - {hostname: a, zone: 1}", "line 2: machines[0].zone: Input should be a valid string; it was 1"),
        ("machines:\n  - hostname: a\nmachines: []", "line 3, column 1: duplicate key machines; remove one of them"),
        ("machines:\n  - hostname: a\n    hostname: b", "line 3, column 5: duplicate key hostname; remove one of them"),
        ("users:\n  - {name: a, superuser: true}\n  - {name: a}", "line 3: users[1].name: the name a is taken"),
        ("users: [{name: 'a b', superuser: true}]", "line 1: users[0].name: String should match pattern"),
        (
            "subnets:\n  - {name: a, cidr: 10.1.0.0/24}\n  - {name: a, cidr: 10.2.0.0/24}",
            "line 3: subnets[1].name: the name a is taken",
        ),
        (
            "subnets:\n  - {name: a, cidr: 10.1.0.0/24}\n  - {name: b, cidr: 10.1.0.0/16}",
            "line 3: subnets[1].cidr: it overlaps with subnet a (10.1.0.0/24)",
        ),
        (
            "subnets:\n  - {name: a, cidr: 10.1.0.0/24, gateway: 10.2.0.1}",
            "line 2: subnets[0]: gateway must be a host address in 10.1.0.0/24; it was 10.2.0.1",
        ),
        ("subnets:\n  - {name: a, cidr: 10.1.0.0/24, gateway: 10.1.0.255}", "gateway must be a host address"),
        ("settings: {node_timeou: 3}", "line 1: settings.node_timeou: unknown key; the keys are: enable_disk"),
        ("release_scripts: {a: -1}", "line 1: release_scripts.a: Input should be greater than or equal to 0"),
        (
            "release_scripts: {wipe-disks: 1}",
            "line 1: release_scripts.wipe-disks: MAAS has a script with this name already",
        ),
        ("images: [ubuntu/noble, noble]", "line 1: images[1]: String should match pattern"),
        ("images: [ubuntu/noble, ubuntu/]", "it was 'ubuntu/'"),
        ("images: [custom/x, custom/x]", "line 1: images[1]: the image custom/x is listed twice"),
        (
            "machines: [{hostname: Bad_Host}]",
            "hostname must have up to 63 letters, digits and inner hyphens; it was 'Bad",
        ),
        ("machines: [{hostname: 'a b'}]", "hostname must have up to 63 letters"),
        ("machines: [{hostname: 'n{:_}', count: 1000}]", "it was 'n1_000'"),
        ("machines: [{hostname: a, system_id: a/b}]", "machines[0].system_id: String should match pattern"),
        ("machines: [{hostname: a, architecture: amd64}]", "machines[0].architecture: String should match pattern"),
        ("machines: [{hostname: a, memory: -5}]", "machines[0].memory: Input should be greater than or equal to 1"),
        ("machines: [{hostname: a, memory: [1, 0]}]", "machines[0].memory: Input should be greater than or equal"),
        ("machines: [{hostname: a, cpu_count: 0}]", "machines[0].cpu_count: Input should be greater than or equal"),
        ("machines: [{hostname: a, disks: [{}, {}]}]", "machines[0]: two disks have the name sda"),
        (
            "machines: [{hostname: a, locked: true, status: New}]",
            "machines[0]: locked is allowed only with the status Deployed and Failed deployment",
        ),
        (
            "machines: [{hostname: a, owner: bob}]",
            "owner is allowed only with the status Allocated, Deployed, Failed deployment",
        ),
        ("plans:\n  - {machine: x, fail: Rebooting}", "line 2: plans[0]: there is no machine 'x'"),
        ("faults:\n  - {times: 0}", "line 2: faults[0].times: Input should be greater than or equal to 1"),
    ],
)
def test_an_error_in_a_world_file_is_reported_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(WorldFileError) as caught:
        read_world(file)
    assert str(caught.value).startswith(f"{file}, line ")
    assert words in str(caught.value)


def test_each_error_has_its_own_line(tmp_path: Path) -> None:
    with pytest.raises(WorldFileError) as caught:
        read_world(written(tmp_path, "speed: fast\nmachines:\n  - hostname: a\n    count: none\n"))
    assert [line.partition(", ")[2].partition(":")[0] for line in str(caught.value).splitlines()] == [
        "line 1",
        "line 4",
    ]


def test_a_python_file_builds_its_own_region(tmp_path: Path) -> None:
    text = "from maas_simulator import generated_region\ndef region():\n    return generated_region(3, speed=7)\n"
    region = read_world(written(tmp_path, text, "world.py"))
    assert len(region.machines) == 3
    assert region.schedule.speed == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "from maas_simulator import *\ndef region():\n    return SimulatedRegion([User('x')])\n",
            ", line 3: ValueError: at least one user must be a superuser; the users are: x",
        ),
        ("x = 1\n", ": the file must define a function region() that returns a maas_simulator.SimulatedRegion"),
        ("def region():\n    return 1\n", ": the file must define a function region()"),
        ("def region():\n    return 1 / 0\n", ", line 2: ZeroDivisionError: division by zero"),
        ("import no_such_module\n", ", line 1: ModuleNotFoundError: No module named"),
    ],
)
def test_a_python_file_without_a_region_is_reported(tmp_path: Path, text: str, words: str) -> None:
    file = written(tmp_path, text, "world.py")
    with pytest.raises(WorldFileError) as caught:
        read_world(file)
    assert str(caught.value).startswith(f"{file}{words}")


@pytest.mark.parametrize("text", [b"\xff\xfe bad", b"zones: {a: \x00}", b"speed: 2026-13-45"])
def test_invalid_yaml_is_reported_even_without_a_line_number(tmp_path: Path, text: bytes) -> None:
    (file := tmp_path / "world.yaml").write_bytes(text)
    with pytest.raises(WorldFileError, match=re.escape(f"{file}: ")):
        read_world(file)


def test_a_list_that_contains_itself_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(WorldFileError, match="expected an object with keys and values"):
        read_world(written(tmp_path, "machines: &a\n  - *a\n"))


def test_a_merged_alias_is_not_a_duplicate_key(tmp_path: Path) -> None:
    text = "machines:\n  - &a {hostname: a, cpu_count: 4}\n  - {<<: *a, hostname: b}\n"
    assert {m.hostname: m.cpu_count for m in read_world(written(tmp_path, text)).machines.values()} == {"a": 4, "b": 4}


def test_operations_fail_on_a_machine_without_a_power_type(tmp_path: Path) -> None:
    text = "machines:\n  - {hostname: a, power_type: ''}\n  - {hostname: b, power_type: '', status: New}\n"
    region = read_world(written(tmp_path, text))
    admin = Maas(region, region.api_key)
    for op, name in (("commission", "b"), ("rescue_mode", "a"), ("test", "a"), ("power_off", "a")):
        answer = admin.op(name, op)
        assert (answer.status_code, answer.text[:24]) == (500, "Unconfigured power type."), op
    assert admin.op("a", "deploy").status_code == 200
    region.advance(600)
    machine = admin.read("a")
    assert (machine["status_name"], machine["power_type"]) == ("Failed deployment", "")
    assert machine["error_description"].startswith("Unconfigured power type.")


def test_release_scripts_run_as_long_as_the_world_file_says(tmp_path: Path) -> None:
    text = "release_scripts: {flash: 500}\nmachines: [{hostname: a, status: Deployed}]"
    region = read_world(written(tmp_path, text), speed=0)
    admin = Maas(region, region.api_key)
    assert admin.op("a", "release", scripts="nosuch").status_code == 400
    assert admin.op("a", "release", scripts="flash").json()["status_name"] == "Releasing"
    region.advance(500)
    assert admin.read("a")["status_name"] == "Releasing"
    region.advance(500)
    assert admin.read("a")["status_name"] == "Ready"


@pytest.mark.parametrize(
    ("setting", "form", "status"),
    [
        ("true", {}, "Disk erasing"),
        ("true", {"erase": "false"}, "Disk erasing"),
        ("true", {"erase": "true"}, "Releasing"),
        ("false", {"erase": "true"}, "Disk erasing"),
        ("false", {}, "Releasing"),
    ],
)
def test_a_setting_erases_the_disks_with_every_release(
    tmp_path: Path, setting: str, form: dict[str, str], status: str
) -> None:
    text = f"settings: {{enable_disk_erasing_on_release: {setting}}}\nmachines: [{{hostname: a, status: Deployed}}]"
    region = read_world(written(tmp_path, text), speed=0)
    admin = Maas(region, region.api_key)
    assert admin.get("maas/?op=get_config&name=enable_disk_erasing_on_release").text == setting
    assert admin.op("a", "release", **form).json()["status_name"] == status
    erases = [name for result in admin.get("nodes/m00001/results/?type=release").json() for name in result["results"]]
    assert ("wipe-disks" in str(erases)) is (status == "Disk erasing" or bool(form))
    region.advance(600)
    assert admin.read("a")["status_name"] == "Ready"


@pytest.mark.parametrize(
    ("users", "words"),
    [([User("x")], "must be a superuser"), ([User("x", is_superuser=True), User("x")], "two users 'x'")],
)
def test_a_region_needs_a_superuser_and_unique_usernames(users: list[User], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SimulatedRegion(users)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    for name in ("no.yaml", "no.py"):
        with pytest.raises(FileNotFoundError):
            read_world(tmp_path / name)


def test_generated_machines_are_spread() -> None:
    region: Any = generated_region(20_500)
    machines = region.machines.values()
    assert Counter(machine.rack for machine in machines) == {"rack1": 6834, "rack2": 6833, "rack3": 6833}
    for field in ("zone", "pool", "tag_names"):
        shares = Counter(getattr(machine, field) for machine in machines)
        assert len(shares) > 2
        assert max(shares.values()) - min(shares.values()) <= 1
