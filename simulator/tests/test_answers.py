"""Reads, error messages and special cases of MAAS's API, exactly as in MAAS."""

import json
from typing import Any

import pytest

from maas_simulator import SimulatedRegion
from simulator.tests.contract import timeline

NO_SERIES = (
    "'nosuch' is not a valid distro_series.  It should be one of: '', 'centos/centos70', 'custom/custom-noble', "
    "'ubuntu/jammy', 'ubuntu/noble'."
)
WRONG_STATE = '{"__all__": ["Commission is not available because of the current state of the node."]}'


def test_the_twelve_machines_fit_the_demonstration(admin: Any) -> None:
    machines = admin.get("machines/").json()
    assert [(m["hostname"], m["status_name"], m["owner"], m["locked"]) for m in machines] == [
        ("node01", "Ready", None, False),
        ("node02", "Ready", None, False),
        ("node03", "Ready", None, False),
        ("node04", "Ready", None, False),
        ("node05", "Ready", None, False),
        ("node06", "Allocated", "admin", False),
        ("node07", "Deployed", "admin", False),
        ("node08", "Deployed", "admin", True),
        ("node09", "Deployed", "bob", False),
        ("node10", "New", None, False),
        ("node11", "Failed deployment", "admin", False),
        ("node12", "Broken", None, False),
    ]
    assert all(len(machine) == 81 for machine in machines)


def test_a_single_machine_equals_its_list_item(admin: Any) -> None:
    assert admin.read("node02") == admin.get("machines/?hostname=node02").json()[0]


def test_recorded_fields_of_a_ready_machine_have_the_recorded_types(admin: Any) -> None:
    recorded = timeline.recorded("deploy-ok").machines[0]
    machine = admin.read("node02")
    for name in set(recorded) - {"zone", "pool", "current_installation_result_id"}:
        assert type(machine[name]) is type(recorded[name]), name


@pytest.mark.parametrize(
    ("query", "hostnames"),
    [
        ("id=7xneda&id=fyc3ff", ["node01", "node02"]),
        ("id=zzzzzz", []),
        ("status=failed_deployment", ["node11"]),
        ("status=new&status=broken", ["node10", "node12"]),
        ("owner=bob", ["node09"]),
        ("tags=gpu", ["node02"]),
        ("zone=az1&pool=compute", ["node02", "node04"]),
        ("arch=arm64", ["node04"]),
        ("power_state=unknown", ["node10"]),
    ],
)
def test_machines_are_filtered(admin: Any, query: str, hostnames: list[str]) -> None:
    assert [machine["hostname"] for machine in admin.get(f"machines/?{query}").json()] == hostnames


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("colour=blue", {"colour": ["No such constraint."]}),
        ("limit=5", {"limit": ["No such constraint."]}),
        ("zone=nozone", {"zone": ["No such zone(s): nozone."]}),
        ("pool=nopool", {"pool": ["No such pool(s): nopool."]}),
        ("tags=notag", {"tags": ["No such tag(s): 'notag'."]}),
        ("cpu_count=²", {"cpu_count": ["Invalid CPU count: number required."]}),
        ("mac_address=xx", {"mac_address": ["'xx' is not a valid MAC address."]}),
    ],
)
def test_bad_filters_are_rejected(admin: Any, query: str, body: dict[str, list[str]]) -> None:
    answer = admin.get(f"machines/?{query}")
    assert (answer.status_code, answer.json()) == (400, body)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "nonesuch/", 404, "Unknown API endpoint: /MAAS/api/2.0/nonesuch/."),
        ("GET", "machines", 404, "Unknown API endpoint: /MAAS/api/2.0/machines."),
        ("GET", "machines/7xneda", 404, "Unknown API endpoint: /MAAS/api/2.0/machines/7xneda."),
        (
            "POST",
            "machines/7xneda/op-nonesuch",
            404,
            "Unknown API endpoint: /MAAS/api/2.0/machines/7xneda/op-nonesuch.",
        ),
        ("POST", "machines/7xneda/?op=nonesuch", 400, "Unrecognised signature: method=POST op=nonesuch"),
        ("POST", "machines/7xneda/", 400, "Unrecognised signature: method=POST op=None"),
        ("GET", "machines/7xneda/?op=deploy", 400, "Unrecognised signature: method=GET op=deploy"),
        ("GET", "events/", 400, "Unrecognised signature: method=GET op=None"),
        ("GET", "machines/zzzzzz/", 404, "No Machine matches the given query."),
        ("POST", "machines/zzzzzz/op-deploy", 404, "No Machine matches the given query."),
        ("GET", "nodes/zzzzzz/results/", 404, "No Node matches the given query."),
        ("GET", "nodes/7xneda/results/999999/", 404, "No ScriptSet matches the given query."),
        ("GET", "nodes/7xneda/results/?type=bogus", 400, "Invalid result type name"),
        ("GET", "events/?op=query&limit=abc", 400, "Invalid limit: Please enter an integer value"),
        ("GET", "events/?op=query&limit=²", 400, "Invalid limit: Please enter an integer value"),
        ("GET", "events/?op=query&after=²", 400, "Invalid after: Please enter an integer value"),
        (
            "GET",
            "events/?op=query&limit=2000",
            400,
            "Requested number of events 2000 is greater than limit: 1000",
        ),
        ("HEAD", "machines/7xneda/", 405, ""),
        ("OPTIONS", "machines/7xneda/", 405, ""),
        ("PATCH", "machines/7xneda/", 405, ""),
    ],
)
def test_bad_requests_are_rejected(admin: Any, method: str, path: str, status: int, body: str) -> None:
    answer = admin.send(method, path)
    assert (answer.status_code, answer.text) == (status, body)


def test_an_unsimulated_operation_is_a_501(admin: Any) -> None:
    refused = [
        admin.get("machines/7xneda/?op=details"),
        admin.get("machines/?simple_status=new"),
        admin.post("boot-resources/", name="custom/x", architecture="amd64/generic", sha256="0", size="1"),
        admin.post("vm-hosts/", type="lxd", power_address="10.0.0.9"),
    ]
    assert [answer.status_code for answer in refused] == [501] * 4
    assert all(answer.text.startswith("The simulator does not do this: ") for answer in refused)


def test_a_json_body_is_ignored_but_the_deploy_happens(admin: Any) -> None:
    answer = admin.send("POST", "machines/7xneda/?op=deploy", json={"distro_series": "nosuch"})
    assert (answer.status_code, answer.json()["distro_series"]) == (200, "noble")


@pytest.mark.parametrize(
    ("hostname", "op", "given", "statuses"),
    [
        ("node07", "release", {"erase": True}, {"status_name": "Disk erasing"}),
        ("node07", "release", {"erase": False, "comment": None}, {"status_name": "Releasing"}),
        ("node02", "commission", {"testing_scripts": "none"}, {"testing_status_name": "Passed"}),
        ("node02", "test", {"testing_scripts": "smartctl-short"}, {"status_name": "Testing"}),
    ],
)
def test_releasing_commissioning_and_testing_read_json(
    admin: Any, hostname: str, op: str, given: dict[str, object], statuses: dict[str, str]
) -> None:
    url = f"machines/{admin.region.machine(hostname).system_id}"
    for path in (f"{url}/?op={op}", f"{url}/op-{op}"):
        wrong = admin.send("POST", path, json={"testing_scripts": "nosuch", "scripts": "nosuch"})
        assert wrong.status_code == 400
    answer = admin.send("POST", f"{url}/?op={op}", json=given).json()
    assert {name: answer[name] for name in statuses} == statuses


def test_json_values_that_a_form_cannot_hold_are_not_read(admin: Any) -> None:
    answer = admin.send("POST", "machines/fyc3ff/?op=commission", json={"testing_scripts": {"none": 1}})
    assert (answer.status_code, admin.read("node02")["status_name"]) == (501, "Ready")


def test_a_machine_is_not_deployed_without_a_network_or_a_layout_of_its_disks(
    admin: Any, region: SimulatedRegion
) -> None:
    machine = region.machine("node02")
    machine.laid_out = False
    root = "Mount the root '/' filesystem to be able to deploy this node."
    assert admin.op("node02", "deploy").json() == {"storage": [root]}
    machine.disks = ()
    disk = "Specify a storage device to be able to deploy this node."
    assert admin.op("node02", "deploy").json() == {"storage": [disk, root]}
    machine.linked = False
    refused = admin.op("node02", "deploy", ephemeral_deploy="true")
    words = "Node has no address family in common with the server"
    assert (refused.status_code, refused.json()) == (400, {"network": [words]})
    assert machine.owner is None
    machine.linked = True
    assert admin.op("node02", "deploy", ephemeral_deploy="true").status_code == 200


def test_a_new_machine_with_only_passed_tests_has_no_network_for_a_deployment(admin: Any, clock: Any) -> None:
    admin.op("node10", "test")
    clock.pass_(3600)
    assert admin.read("node10")["status_name"] == "Ready"
    assert admin.op("node10", "deploy").json() == {"network": ["Node must be configured to use a network"]}


def test_a_machine_without_a_power_type_is_not_commissioned(admin: Any, region: SimulatedRegion) -> None:
    region.machine("node02").power_type = ""
    answer = admin.op("node02", "commission")
    words = "Unconfigured power type. Please configure the power type and try again."
    assert (answer.status_code, answer.text) == (500, words)
    assert admin.read("node02")["status_name"] == "Ready"


def test_broken_json_is_a_bad_request(admin: Any) -> None:
    headers = {**admin.signed(), "Content-Type": "application/json"}
    answer = admin.send("POST", "machines/7xneda/op-lock", headers=headers, content=b"{")
    assert (answer.status_code, answer.text) == (400, "Bad Request")


def test_the_op_may_be_a_form_field_and_the_form_multipart(admin: Any) -> None:
    assert admin.post("machines/7xneda/", op="lock").text == "Can't lock, node is not deployed or deploying"
    answer = admin.send("POST", "machines/7xneda/?op=deploy", files={"distro_series": (None, "jammy")})
    assert answer.json()["distro_series"] == "jammy"


@pytest.mark.parametrize(
    ("hostname", "op", "status", "body"),
    [
        ("node07", "deploy", 409, "Can't deploy a machine that is in the 'Deployed' state"),
        ("node11", "deploy", 409, "Can't deploy a machine that is in the 'Failed deployment' state"),
        ("node12", "deploy", 409, "Can't deploy a machine that is in the 'Broken' state"),
        ("node07", "commission", 400, WRONG_STATE),
        ("node11", "commission", 400, WRONG_STATE),
        ("node10", "release", 409, "Machine cannot be released in its current state ('New')."),
        ("node02", "abort", 409, "Cannot abort in current state: node fyc3ff is in state Ready."),
        ("node02", "lock", 409, "Can't lock, node is not deployed or deploying"),
        ("node08", "lock", 409, "Machine is already locked"),
        ("node07", "unlock", 409, "Machine is not locked"),
        ("node02", "mark_fixed", 409, "Can't mark a non-broken node as 'Ready'."),
        ("node02", "mark_broken", 403, ""),
        ("node02", "exit_rescue_mode", 409, "Invalid transition: Ready -> Exiting rescue mode."),
        ("node02", "power_on", 409, "Can't start node: it hasn't been allocated."),
        ("node08", "release", 403, ""),
        ("node08", "power_off", 403, ""),
        ("node08", "abort", 403, ""),
    ],
)
def test_operations_are_rejected_in_the_wrong_state(admin: Any, hostname: str, op: str, status: int, body: str) -> None:
    before = admin.read(hostname)
    answer = admin.op(hostname, op)
    assert (answer.status_code, answer.text) == (status, body)
    assert admin.read(hostname) == before


@pytest.mark.parametrize(
    ("op", "form", "body"),
    [
        ("deploy", {"distro_series": "nosuch"}, {"distro_series": [NO_SERIES]}),
        (
            "deploy",
            {"distro_series": "noble", "hwe_kernel": "hwe-99.04"},
            {"hwe_kernel": ["hwe-99.04 is not available for ubuntu/noble on amd64/generic."]},
        ),
        (
            "commission",
            {"commissioning_scripts": "none"},
            {"commissioning_scripts": ["Select a valid choice. none is not one of the available choices."]},
        ),
        (
            "commission",
            {"testing_scripts": "nosuch"},
            {"testing_scripts": ["Select a valid choice. nosuch is not one of the available choices."]},
        ),
    ],
)
def test_wrong_parameters_change_nothing(admin: Any, op: str, form: dict[str, str], body: dict[str, list[str]]) -> None:
    answer = admin.op("node02", op, **form)
    assert (answer.status_code, answer.json()) == (400, body)
    assert admin.read("node02")["status_name"] == "Ready"


def test_vm_hosts_are_for_superusers(admin: Any, bob: Any) -> None:
    refused = bob.op("node02", "deploy", install_kvm="true")
    assert (refused.status_code, refused.text) == (403, "Only administratros can deploy VM hosts")
    in_memory = admin.op("node02", "deploy", register_vmhost="true", ephemeral_deploy="true")
    assert in_memory.text == "A machine can not be a VM host if it is deployed to memory."
    assert admin.op("node02", "deploy", install_rackd="true").status_code == 400
    assert admin.read("node02")["status_name"] == "Ready"


def test_a_vm_host_is_released_by_force_only_and_takes_its_machines_with_it(admin: Any, clock: Any) -> None:
    admin.op("node02", "deploy", install_kvm="true")
    clock.pass_(3600)
    composed = admin.post("machines/?op=allocate", pod="node02").json()
    assert (composed["pod"]["name"], composed["status_name"]) == ("node02", "Allocated")
    refused = admin.op("node02", "release")
    assert (refused.status_code, refused.text) == (400, "The following VM hosts must be removed first: node02")
    assert admin.op("node02", "release", force="true").status_code == 200
    assert admin.get(f"machines/{composed['system_id']}/").status_code == 404
    clock.pass_(3600)
    assert admin.post("machines/?op=allocate", pod="node02").status_code == 409


def test_release_scripts_run_while_releasing_and_add_maas_events(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    region.release_scripts = {"wipe-bmc": 20.0, "notify": 5.0}
    unknown = admin.op("node07", "release", scripts="notify,nosuch")
    message = "Select a valid choice. nosuch is not one of the available choices."
    assert (unknown.status_code, unknown.json()) == (400, {"scripts": [message]})
    cursor = admin.cursor()
    answer = admin.op("node07", "release", scripts="wipe-bmc,notify", erase="true").json()
    assert answer["status_name"] == "Releasing", "other scripts than the erase"
    clock.pass_(3600)
    said = [event for event in admin.said("node07", cursor) if event[1] != "Script result"]
    assert said == [
        ("DEBUG", "User releasing node", "(admin)"),
        ("DEBUG", "Node changed status", "From 'Deployed' to 'Releasing'"),
        ("DEBUG", "PXE Request", "commissioning"),
        ("INFO", "Performing PXE boot", ""),
        ("INFO", "Loading ephemeral", ""),
        ("INFO", "Release scripts executed successfully.", ""),
        ("INFO", "Releasing", ""),
        ("DEBUG", "Node changed status", "From 'Releasing' to 'Ready'"),
        ("INFO", "Released", ""),
    ]
    results = admin.get(f"nodes/{answer['system_id']}/results/?type=release").json()[0]["results"]
    assert [(r["name"], r["status_name"]) for r in results] == [
        ("notify", "Passed"),
        ("wipe-bmc", "Passed"),
        ("wipe-disks", "Pending"),
    ]


def test_a_release_script_that_fails_ends_in_releasing_failed(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    region.release_scripts = {"wipe-bmc": 20.0}
    region.plan("node07", fail="wipe-bmc")
    admin.op("node07", "release", scripts="wipe-bmc")
    clock.pass_(3600)
    machine = admin.read("node07")
    assert (machine["status_name"], machine["owner"]) == ("Releasing failed", "admin")
    assert admin.op("node07", "release").json()["status_name"] == "Releasing"


def test_missing_tests_and_destructive_tests_on_a_deployed_machine_are_rejected(admin: Any) -> None:
    assert admin.op("node02", "test", testing_scripts="none").text == "No testing scripts found!"
    answer = admin.op("node07", "test", testing_scripts="fio")
    message = "Destructive tests may only be run on undeployed machines."
    assert (answer.status_code, answer.json()) == (400, {"testing_scripts": [message]})


@pytest.mark.parametrize("option", ["enable_kernel_crash_dump", "ephemeral_deploy"])
def test_a_release_leaves_some_options_until_the_next_deployment(admin: Any, clock: Any, option: str) -> None:
    assert admin.op("node02", "deploy", **{option: "true"}).json()[option] is True
    admin.op("node02", "release")
    clock.pass_(3600)
    assert admin.read("node02")[option] is True
    assert admin.op("node02", "deploy").json()[option] is False


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *((name, "Value should be 'true' or 'false'") for name in ("bridge_all", "bridge_stp", "enable_hw_sync")),
        *((name, "Value should be 'true' or 'false'") for name in ("ephemeral_deploy", "install_kvm", "install_rackd")),
        ("bridge_type", "Value must be one of: standard; ovs (not 'x')"),
        ("bridge_fd", "Please enter an integer value"),
    ],
)
def test_the_options_of_a_deployment_are_checked_before_its_image(admin: Any, name: str, words: str) -> None:
    answer = admin.op("node02", "deploy", distro_series="nosuch", **{name: "x"})
    assert (answer.status_code, answer.text) == (400, f"Invalid {name}: {words}")
    assert admin.read("node02")["status_name"] == "Ready"


def test_releasing_a_ready_machine_does_nothing(admin: Any) -> None:
    cursor = admin.cursor()
    assert admin.op("node02", "release").json()["status_name"] == "Ready"
    assert admin.said("node02", cursor) == []


def test_locking_unlocking_and_power(admin: Any) -> None:
    assert admin.op("node07", "lock", comment="keep").json()["locked"] is True
    assert admin.op("node07", "unlock").json()["locked"] is False
    assert admin.op("node07", "power_off", stop_mode="gently").json()["power_state"] == "on"
    assert admin.get("machines/ywtymp/?op=query_power_state").json() == {"state": "off"}
    assert admin.op("node07", "power_on").status_code == 200
    assert admin.op("node06", "power_on").json()["status_name"] == "Deploying"


def test_only_the_owner_marks_a_machine_broken_and_a_superuser_fixes_it(admin: Any, bob: Any) -> None:
    assert admin.op("node09", "mark_broken").status_code == 403
    broken = bob.op("node09", "mark_broken", comment="bad DIMM").json()
    assert (broken["status_name"], broken["error_description"], broken["owner"]) == ("Broken", "bad DIMM", "bob")
    fixed = admin.op("node09", "mark_fixed").json()
    assert (fixed["status_name"], fixed["error_description"]) == ("Deployed", "")
    assert admin.op("node12", "mark_fixed").json()["status_name"] == "Ready"


def test_allocating_finds_a_machine_by_constraints(admin: Any) -> None:
    dry = admin.post("machines/?op=allocate", tags="gpu", dry_run="true").json()
    assert (dry["hostname"], dry["status_name"], dry["constraints_by_type"]) == ("node02", "Ready", {})
    smallest = admin.post("machines/?op=allocate", arch="amd64", dry_run="true").json()
    assert (smallest["hostname"], smallest["memory"]) == ("node01", 16384), "by MiB first of all"
    elsewhere = admin.post(
        "machines/?op=allocate", not_in_zone=["default", "az1"], not_in_pool="storage", dry_run="true"
    )
    assert elsewhere.json()["hostname"] == "node03"
    machine = admin.post("machines/?op=allocate", system_id="fyc3ff").json()
    assert (machine["status_name"], machine["owner"], machine["status_message"]) == ("Allocated", "admin", "Ready")


@pytest.mark.parametrize(
    ("form", "status", "body"),
    [
        (
            {"cpu_count": "4096"},
            409,
            "No available machine matches constraints: [('cpu_count', ['4096'])] (resolved to \"cpu_count=4096.0\")",
        ),
        (
            {"name": "nohost"},
            409,
            "No available machine matches constraints: [('name', ['nohost'])] (resolved to \"name=nohost\")",
        ),
        ({"system_id": "ywtymp"}, 409, "No machine with system ID ywtymp available."),
        ({"cpu_count": "abc"}, 400, '{"cpu_count": ["Invalid CPU count: number required."]}'),
        ({"arch": "z80"}, 400, '{"arch": ["Architecture not recognised."]}'),
        ({"tags": "notag"}, 400, '{"tags": ["No such tag(s): \'notag\'."]}'),
        ({"pool": "nopool"}, 400, '{"pool": ["No such pool(s): nopool."]}'),
    ],
)
def test_bad_allocations_are_rejected(admin: Any, form: dict[str, str], status: int, body: str) -> None:
    answer = admin.post("machines/?op=allocate", **form)
    assert (answer.status_code, answer.text) == (status, body)


def test_a_rejected_allocation_allocates_nothing(admin: Any) -> None:
    answer = admin.post("machines/?op=allocate", system_id="7xneda", verbose="maybe")
    assert (answer.status_code, answer.text) == (400, "Invalid verbose: Value should be 'true' or 'false'")
    assert admin.read("node01")["status_name"] == "Ready"


def test_labels_return_the_matching_disks_and_nics(admin: Any) -> None:
    machine = admin.post(
        "machines/?op=allocate", storage="data:900,root:400(sata,ssd)", interfaces="lan:fabric=fabric-0,link_speed=1000"
    ).json()
    disks = {disk["id"]: disk["name"] for disk in machine["blockdevice_set"]}
    found = machine["constraints_by_type"]
    assert {label: [disks[number] for number in numbers] for label, numbers in found["storage"].items()} == {
        "data": ["nvme0n1"],
        "root": ["sda"],
    }
    assert found["interfaces"] == {"lan": [machine["boot_interface"]["id"]]}


@pytest.mark.parametrize(
    ("form", "hostname"),
    [
        ({"storage": "root:4000"}, "node05"),
        ({"subnets": "cidr:10.10.0.0/24", "tags": "gpu"}, "node02"),
        ({"subnets": "pxe", "name": "node01"}, "node01"),
        ({"fabrics": "fabric-0", "link_speed": "10000", "tags": "gpu"}, "node02"),
        ({"interfaces": "lan:subnet=pxe;wan:name=eno1", "tags": "gpu"}, "node02"),
    ],
)
def test_machines_are_allocated_by_disks_and_networks(admin: Any, form: dict[str, str], hostname: str) -> None:
    assert admin.post("machines/?op=allocate", **form).json()["hostname"] == hostname


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"storage": "root:90000"}, 409),
        ({"storage": "a:1,b:1,c:1"}, 409),
        ({"interfaces": "lan:name=eno9"}, 409),
        ({"link_speed": "40000"}, 409),
        ({"subnets": "storage"}, 409),
        ({"pod": "nohost"}, 409),
        ({"storage": "xyz"}, 400),
        ({"storage": "50"}, 200),
        ({"interfaces": "lan:space=dmz"}, 409),
        ({"interfaces": "lan"}, 400),
        ({"interfaces": "lan:colour=red"}, 400),
        ({"subnets": "space:dmz"}, 400),
        ({"vlans": "vid:7"}, 400),
        ({"fabrics": "nofabric"}, 409),
        ({"devices": "vendor_id=8086"}, 200),
        ({"devices": "vendor_id=10de"}, 409),
        ({"hostname": "node01"}, 400),
    ],
)
def test_constraints_that_cannot_be_met_are_rejected(admin: Any, form: dict[str, str], status: int) -> None:
    assert admin.post("machines/?op=allocate", **form).status_code == status


def test_machines_are_released_together_or_not_at_all(admin: Any) -> None:
    url = "machines/?op=release"
    assert admin.post(url, machines="zzzzzz").text == "Unknown machine(s): zzzzzz."
    both = admin.send("POST", url, data={"machines": ["x7twrr", "a8wxd4"]})
    assert both.status_code == 409
    assert admin.read("node06")["status_name"] == "Allocated"
    assert admin.send("POST", url, data={"machines": ["x7twrr", "7xneda"]}).json() == ["x7twrr"]


def test_events_are_newest_first_and_after_a_cursor_the_oldest(admin: Any, clock: Any) -> None:
    cursor = admin.cursor()
    admin.op("node02", "deploy")
    clock.pass_(3600)
    url = "events/?op=query&id=fyc3ff&level=DEBUG&limit=2"
    page = admin.get(f"{url}&after={cursor}").json()
    assert [event["id"] for event in page["events"]] == [cursor + 2, cursor + 1]
    assert page["next_uri"] == f"/MAAS/api/2.0/{url}&after={cursor + 2}"
    assert page["prev_uri"] == f"/MAAS/api/2.0/{url}&before={cursor + 1}"
    assert page["events"][1] == {
        "username": "admin",
        "node": "fyc3ff",
        "hostname": "node02",
        "id": cursor + 1,
        "level": "DEBUG",
        "created": page["events"][1]["created"],
        "type": "User acquiring node",
        "description": "(admin)",
    }
    url = "events/?op=query&id=fyc3ff&limit=2"
    latest = admin.get(url).json()["events"]
    assert [event["type"] for event in latest] == ["Deployed", "Image Deployed"]
    older = admin.get(f"{url}&before={latest[-1]['id']}").json()["events"]
    assert [event["type"] for event in older] == ["Rebooting", "Configuring OS"]


def test_the_cursor_stays_when_there_are_no_newer_events(admin: Any) -> None:
    page = admin.get("events/?op=query&limit=3&after=1143").json()
    assert page == {
        "count": 0,
        "events": [],
        "next_uri": "/MAAS/api/2.0/events/?op=query&limit=3",
        "prev_uri": "/MAAS/api/2.0/events/?op=query&limit=3&before=1144",
    }


def test_debug_events_are_returned_only_on_request(admin: Any) -> None:
    admin.op("node02", "deploy")
    assert {event["level"] for event in admin.get("events/?op=query").json()["events"]} == {"INFO", "ERROR"}


def test_configuration_and_collections(admin: Any) -> None:
    assert admin.get("maas/?op=get_config&name=node_timeout").json() == 30
    assert admin.get("maas/?op=get_config&name=default_distro_series").json() == "noble"
    unknown = admin.get("maas/?op=get_config&name=nope")
    assert unknown.status_code == 400
    assert unknown.json()["nope"][0].startswith("nope is not a valid config setting (valid settings are: ")
    assert [zone["name"] for zone in admin.get("zones/").json()] == ["az1", "az2", "default"]
    assert {pool["name"] for pool in admin.get("resourcepools/").json()} == {"default", "compute", "storage"}
    assert "gpu" in {tag["name"] for tag in admin.get("tags/").json()}
    assert "ubuntu/noble" in {image["name"] for image in admin.get("boot-resources/").json()}


def test_deleting_a_machine(admin: Any) -> None:
    assert admin.send("DELETE", "machines/hbncqr/").status_code == 403
    assert admin.send("DELETE", "machines/7xneda/").status_code == 204
    assert admin.send("DELETE", "machines/7xneda/").text == "No Machine matches the given query."


def test_requests_are_recorded_in_order(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    admin.get("users/?op=whoami")
    clock.pass_(5)
    admin.op("node02", "deploy", distro_series="nosuch")
    first, second = region.requests
    assert (first.method, first.path, first.op, first.status) == ("GET", "/MAAS/api/2.0/users/", "whoami", 200)
    assert (second.op, second.form, second.status) == ("deploy", {"distro_series": ["nosuch"]}, 400)
    assert second.time - first.time == 5
    assert json.loads(json.dumps(second.form)) == second.form
