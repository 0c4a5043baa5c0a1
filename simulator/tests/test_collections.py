"""The collections of a region: who may change them, what their forms reject, and what a change leaves."""

from typing import Any

import pytest

from maas_simulator import SimulatedRegion
from simulator.tests.conftest import Maas

RESERVED = "This method is reserved for admin users."
NOT_ALLOWED = "User is not allowed access to this API."
REQUIRED = ["This field is required."]
SHEBANG = "#!/bin/sh\n"

Step = tuple[str, str, str, dict[str, str], int, Any]
"""The user, the method, the path, the form, the status, and a part of the answer: a text, or some keys of the JSON."""

STEPS: dict[str, list[Step]] = {
    "zones": [
        ("bob", "POST", "zones/", {"name": "z"}, 403, RESERVED),
        ("bob", "DELETE", "zones/nozone/", {}, 403, RESERVED),
        ("admin", "POST", "zones/", {"name": "az1"}, 400, {"name": ["Physical zone with this Name already exists."]}),
        ("admin", "DELETE", "zones/nozone/", {}, 204, ""),
    ],
    "pools": [
        ("bob", "POST", "resourcepools/", {"name": "p"}, 403, ""),
        ("bob", "PUT", "resourcepool/99/", {}, 404, "No ResourcePool matches the given query."),
    ],
    "users": [
        ("bob", "POST", "users/", {}, 403, RESERVED),
        ("admin", "POST", "users/", {"username": "eve"}, 400, "No provided email!"),
        (
            "admin",
            "POST",
            "users/",
            {"username": "eve", "email": "e", "password": "p"},
            400,
            "No provided is_superuser!",
        ),
        (
            *("admin", "POST", "users/"),
            {"username": "eve", "email": "e", "password": "p", "is_superuser": "0"},
            200,
            {},
        ),
        (
            *("admin", "POST", "users/"),
            {"username": "eve", "email": "f", "password": "p", "is_superuser": "0"},
            409,
            "",
        ),
        ("admin", "GET", "users/eve/", {}, 200, {"email": "e", "is_superuser": False}),
        ("admin", "PUT", "users/eve/", {"email": "g"}, 405, ""),
        ("admin", "DELETE", "users/eve/", {}, 204, ""),
        ("admin", "DELETE", "users/eve/", {}, 204, ""),
        ("admin", "DELETE", "users/admin/", {}, 400, "An administrator cannot self-delete."),
        ("admin", "DELETE", "users/bob/", {}, 400, "User bob cannot be deleted: 1 node(s) are still allocated"),
        ("admin", "DELETE", "users/bob/?transfer_resources_to=x", {}, 404, "No User matches the given query."),
        ("admin", "DELETE", "users/bob/?transfer_resources_to=admin", {}, 204, ""),
        ("bob", "GET", "users/?op=whoami", {}, 401, "Authorization Error: Invalid API key."),
    ],
    "account": [
        ("bob", "POST", "account/?op=update_token_name", {"token": "x"}, 400, "No provided name!"),
        ("bob", "POST", "account/?op=delete_authorisation_token", {}, 400, "No provided token_key!"),
        (*("bob", "POST", "account/?op=delete_authorisation_token"), {"token_key": "x"}, 404, "No Token matches"),
        ("bob", "GET", "account/?op=x", {}, 400, "Unrecognised signature: method=GET op=x"),
    ],
    "SSH keys": [
        (
            "bob",
            "POST",
            "account/prefs/sshkeys/",
            {"key": "x"},
            400,
            {"key": ["Invalid SSH public key: Invalid value."]},
        ),
        ("bob", "POST", "account/prefs/sshkeys/", {"key": f"ssh-ed25519 {'A' * 68} me"}, 201, {"keysource": ""}),
        ("bob", "PUT", "account/prefs/sshkeys/1/", {}, 405, ""),
        ("admin", "DELETE", "account/prefs/sshkeys/1/", {}, 404, "No SSHKey matches the given query."),
        ("bob", "DELETE", "account/prefs/sshkeys/1/", {}, 204, ""),
    ],
    "settings": [
        ("bob", "POST", "maas/?op=set_config", {"name": "x"}, 403, RESERVED),
        ("admin", "POST", "maas/?op=set_config", {"name": "theme"}, 400, "No provided value!"),
        (
            *("admin", "POST", "maas/?op=set_config", {"name": "node_timeout", "value": "soon"}, 400),
            {"node_timeout": ["Enter a whole number."]},
        ),
        ("admin", "POST", "maas/?op=set_config", {"name": "node_timeout", "value": "45"}, 200, "OK"),
        ("bob", "GET", "maas/?op=get_config&name=node_timeout", {}, 200, "45"),
        ("admin", "POST", "maas/?op=set_config", {"name": "curtin_verbose", "value": "false"}, 200, "OK"),
        ("bob", "GET", "maas/?op=get_config&name=curtin_verbose", {}, 200, "false"),
        ("bob", "GET", "maas/?op=get_config", {}, 400, "No provided name!"),
    ],
    "notifications": [
        ("bob", "POST", "notifications/", {}, 403, RESERVED),
        ("bob", "GET", "notifications/2/", {}, 403, ""),
        ("admin", "POST", "notifications/", {"message": "{a}"}, 400, {"__all__": ["Notification cannot be rendered."]}),
        (
            *("admin", "POST", "notifications/"),
            {"message": "m", "context": "[]"},
            400,
            {"context": ["Context is not a mapping."]},
        ),
        (*("admin", "POST", "notifications/"), {"message": "m", "users": "true"}, 200, {"id": 5, "dismissable": True}),
        (
            "admin",
            "PUT",
            "notifications/5/",
            {"message": "n"},
            200,
            {"message": "n", "dismissable": False, "users": True},
        ),
        ("bob", "POST", "notifications/5/?op=dismiss", {}, 200, ""),
        ("bob", "GET", "notifications/?x", {}, 200, '[\n    {\n        "ident": "deprecation_MD6_users"'),
    ],
    "repositories": [
        ("bob", "DELETE", "package-repositories/9/", {}, 403, RESERVED),
        ("admin", "GET", "package-repositories/main_archive/", {}, 200, {"arches": ["amd64", "i386"]}),
        ("admin", "POST", "package-repositories/", {"name": "a"}, 400, {"url": REQUIRED}),
        (
            *("admin", "PUT", "package-repositories/1/", {"disabled_pockets": "updates, backports"}, 200),
            {"disabled_pockets": ["updates", "backports"]},
        ),
    ],
    "license keys": [
        ("bob", "GET", "license-keys/", {}, 403, NOT_ALLOWED),
        ("bob", "PATCH", "license-keys/", {}, 403, NOT_ALLOWED),
        ("admin", "POST", "license-keys/", {}, 400, {"osystem": REQUIRED, "license_key": REQUIRED}),
        ("admin", "GET", "license-key/windows/win2012", {}, 404, "No LicenseKey matches the given query."),
        ("admin", "GET", "license-keys/windows/win2012/", {}, 404, "Unknown API endpoint"),
    ],
    "image sources": [
        ("bob", "GET", "boot-sources/", {}, 403, NOT_ALLOWED),
        (
            *("admin", "POST", "boot-sources/", {"url": "http://a/"}, 400),
            {"__all__": ["One of keyring_data or keyring_filename must be specified."]},
        ),
        ("admin", "POST", "boot-sources/", {"url": "http://a/", "keyring_filename": "k"}, 201, {"id": 2}),
        ("admin", "POST", "boot-sources/2/selections/", {"os": "ubuntu", "release": "noble"}, 201, {"arches": ["*"]}),
        ("admin", "GET", "boot-sources/1/selections/1/", {}, 404, "No BootSourceSelection matches"),
        ("admin", "POST", "boot-sources/9/selections/", {}, 404, "No BootSource matches the given query."),
    ],
    "images": [
        ("bob", "DELETE", "boot-resources/1/", {}, 403, RESERVED),
        ("admin", "DELETE", "boot-resources/99/", {}, 500, "BootResource matching query does not exist."),
        ("admin", "DELETE", "boot-resources/1/", {}, 204, ""),
        ("admin", "GET", "boot-resources/1/", {}, 404, "No BootResource matches the given query."),
    ],
    "snippets": [
        ("bob", "POST", "dhcp-snippets/", {}, 403, RESERVED),
        ("admin", "POST", "dhcp-snippets/", {"name": "a", "value": "one"}, 200, {"global_snippet": True}),
        ("admin", "PUT", "dhcp-snippets/1/", {"value": "two"}, 200, {"value": "two"}),
        ("admin", "POST", "dhcp-snippets/1/?op=revert", {"to": "-2"}, 400, "Goes too far back."),
        ("admin", "POST", "dhcp-snippets/1/?op=revert", {"to": "-1"}, 200, {"value": "one"}),
    ],
    "scripts": [
        ("bob", "POST", "scripts/", {}, 403, RESERVED),
        ("admin", "POST", "scripts/", {"name": "x"}, 400, {"script": ["Must be given a value"]}),
        ("admin", "POST", "scripts/", {"name": "x", "script": "x"}, 400, {"script": ["Must start with shebang."]}),
        (
            *("admin", "POST", "scripts/", {"name": "ntp", "script": SHEBANG}, 400),
            {"name": ["Script with this Name already exists."]},
        ),
        (
            *("admin", "POST", "scripts/", {"name": "mine", "script": SHEBANG, "hardware_type": "cpu"}, 200),
            {"type": 2, "tags": ["cpu"], "timeout": "0:00:00", "hardware_type_name": "CPU", "default": False},
        ),
        ("bob", "GET", "scripts/mine?op=download", {}, 200, SHEBANG),
        ("admin", "POST", "scripts/mine?op=add_tag", {"tag": "own"}, 200, {"tags": ["cpu", "own"]}),
        ("admin", "PUT", "scripts/mine", {"script": f"{SHEBANG}true"}, 200, {"tags": ["own", "cpu"]}),
        ("admin", "POST", "scripts/mine?op=revert", {"to": "x"}, 400, "Invalid to: Please enter an integer value"),
        ("admin", "POST", "scripts/mine?op=revert", {"to": "-1"}, 200, {"name": "mine"}),
        ("bob", "GET", "scripts/mine?op=download", {}, 200, SHEBANG),
        ("admin", "DELETE", "scripts/ntp", {}, 400, "Unable to delete default script"),
        ("admin", "GET", "scripts/?type=deployment", {}, 400, "Script type must be commissioning, testing or release"),
        ("admin", "DELETE", "scripts/mine", {}, 204, ""),
        ("bob", "GET", "scripts/mine", {}, 404, "No Script matches the given query."),
    ],
    "commissioning scripts": [
        ("bob", "GET", "commissioning-scripts/", {}, 403, NOT_ALLOWED),
        ("admin", "POST", "commissioning-scripts/", {"name": "c", "content": SHEBANG}, 200, {"content": SHEBANG}),
        ("admin", "GET", "commissioning-scripts/c", {}, 200, SHEBANG),
        ("admin", "DELETE", "commissioning-scripts/c", {}, 204, ""),
    ],
    "devices": [
        ("bob", "POST", "devices/", {}, 400, {"mac_addresses": REQUIRED}),
        (
            *("bob", "POST", "devices/", {"mac_addresses": "zz"}, 400),
            {"mac_addresses": ["'zz' is not a valid MAC address."]},
        ),
        (
            *("bob", "POST", "devices/", {"hostname": "node01", "mac_addresses": "52:54:00:aa:00:01"}, 400),
            {"hostname": ["Node with this Hostname already exists."]},
        ),
        (
            *("bob", "POST", "devices/"),
            {"hostname": "printer", "mac_addresses": "52:54:00:aa:00:01"},
            200,
            {"owner": "bob"},
        ),
        ("bob", "GET", "devices/?hostname=printer&zone=az1", {}, 200, "[]"),
        ("bob", "GET", "devices/?colour=blue", {}, 400, {"colour": ["No such constraint."]}),
        ("bob", "GET", "devices/?op=is_registered&mac_address=52:54:00:aa:00:01", {}, 200, "true"),
        ("bob", "GET", "devices/zzzzzz/", {}, 404, "No Device matches the given query."),
    ],
    "controllers": [
        ("bob", "GET", "rackcontrollers/", {}, 200, "[]"),
        ("bob", "GET", "rackcontrollers/bwdhs4/", {}, 403, ""),
        ("admin", "GET", "rackcontrollers/bwdhs4/", {}, 200, {"node_type": 4, "ip_addresses": ["10.10.0.2"]}),
        ("admin", "PUT", "regioncontrollers/bwdhs4/", {"zone": "az1"}, 200, {"system_id": "bwdhs4"}),
        ("admin", "GET", "regioncontrollers/zzzzzz/", {}, 404, "No RegionController matches the given query."),
        ("admin", "DELETE", "rackcontrollers/bwdhs4/", {}, 400, "Unable to delete 'rack01'; it is currently set"),
    ],
    "tags": [
        ("bob", "POST", "tags/gpu/?op=update_nodes", {}, 403, "Must be a superuser or supply a rack_controller."),
        (
            *("admin", "POST", "tags/gpu/?op=update_nodes"),
            {"add": "7xneda", "remove": "no"},
            200,
            {"added": 1, "removed": 0},
        ),
        (
            *("admin", "POST", "tags/gpu/?op=update_nodes"),
            {"definition": "//x"},
            409,
            "Definition supplied '//x' doesn't",
        ),
        ("admin", "POST", "tags/", {"name": "nic", "definition": "//node[@class='network']"}, 200, {}),
        ("admin", "POST", "tags/nic/?op=rebuild", {}, 200, {"rebuilding": "nic"}),
        (
            *("admin", "POST", "tags/", {"name": "bad", "definition": "//["}, 400),
            {"definition": ["Invalid XPath expression: Invalid expression"]},
        ),
    ],
    "results": [
        ("bob", "PUT", "nodes/7xneda/results/current-testing/", {"suppressed": "true"}, 403, RESERVED),
        ("admin", "PUT", "nodes/7xneda/results/current-testing/", {"suppressed": "true"}, 200, {"status": 2}),
        ("admin", "POST", "nodes/7xneda/results/", {}, 405, ""),
        ("admin", "GET", "nodes/7xneda/results/current-release/", {}, 400, 'Unknown id "current-release" must be'),
        ("admin", "GET", "nodes/7xneda/results/current-testing/?op=download&filetype=zip", {}, 400, "Unknown filetype"),
        ("admin", "DELETE", "nodes/7xneda/results/current-testing/", {}, 400, "Unable to delete the current testing"),
    ],
    "nothing": [
        ("bob", "GET", "vm-hosts/", {}, 200, "[]"),
        ("bob", "POST", "pods/", {}, 403, RESERVED),
        ("admin", "POST", "vm-hosts/", {}, 400, {"type": REQUIRED}),
        ("admin", "DELETE", "vm-clusters/1/", {}, 404, "No VMCluster matches the given query."),
        ("admin", "GET", "discovery/1/", {}, 404, "No Discovery matches the given query."),
        ("admin", "GET", "nodegroups/", {}, 404, "Unknown API endpoint"),
    ],
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_a_collection_follows_its_rules(admin: Maas, bob: Maas, steps: list[Step]) -> None:
    for user, method, path, form, status, part in steps:
        client = admin if user == "admin" else bob
        answer = client.send(method, path, data=form) if form else client.send(method, path)
        assert (answer.status_code, method, path) == (status, method, path), answer.text
        if isinstance(part, dict):
            assert part.items() <= answer.json().items(), path
        else:
            assert answer.text.startswith(part), (path, answer.text)


def test_a_new_api_key_works_until_it_is_deleted(region: SimulatedRegion, bob: Maas) -> None:
    created = bob.post("account/?op=create_authorisation_token", name="ci").json()
    key = ":".join(created[name] for name in ("consumer_key", "token_key", "token_secret"))
    assert bob.get("account/?op=list_authorisation_tokens").json()[1] == {"name": "ci", "token": key}
    other = Maas(region, key)
    assert other.get("users/?op=whoami").json()["username"] == "bob"
    assert other.post("account/?op=update_token_name", token=key, name="cd").status_code == 202
    assert bob.post("account/?op=delete_authorisation_token", token_key=created["token_key"]).status_code == 204
    assert other.get("users/?op=whoami").status_code == 401


def test_the_built_in_scripts_are_the_31_of_maas(admin: Maas) -> None:
    scripts = admin.get("scripts/").json()
    assert [len(scripts), *(len(admin.get(f"scripts/?type={kind}").json()) for kind in (0, 2, 3))] == [31, 13, 17, 1]
    assert [script["id"] for script in scripts] == list(range(1, 32))
    assert len(admin.get("scripts/?filters=destructive").json()) == 2
    assert len(admin.get("scripts/?hardware_type=memory").json()) == 3


def test_a_users_script_runs_when_a_machine_is_commissioned_or_tested(admin: Maas, clock: Any) -> None:
    admin.post("scripts/", name="own-setup", type="commissioning", script=SHEBANG)
    admin.post("scripts/", name="own-test", tags="burn-in", script=SHEBANG)
    admin.op("node02", "commission", testing_scripts="burn-in")
    clock.pass_(3600)
    ran = admin.get(f"nodes/{admin.read('node02')['system_id']}/results/?filters=own-setup,burn-in").json()
    named = [(each["name"], each["status_name"], each["script_id"]) for scripts in ran for each in scripts["results"]]
    assert sorted(named) == [("own-setup", "Passed", 32), ("own-test", "Passed", 33)]


def test_a_definition_tags_the_machines_that_it_matches(admin: Maas) -> None:
    admin.post("tags/", name="nic", definition="//node[@class='network']")
    tagged = admin.get("tags/nic/?op=nodes").json()
    assert {"node10"} == {machine["hostname"] for machine in admin.get("machines/").json()} - {
        machine["hostname"] for machine in tagged
    }, "only a machine that was never commissioned has unknown hardware"


def test_a_deleted_tag_or_zone_leaves_devices(admin: Maas) -> None:
    device = admin.post("devices/", mac_addresses="52:54:00:aa:00:01", zone="az1").json()
    admin.post("tags/gpu/?op=update_nodes", add=device["system_id"])
    (tagged,) = admin.get("tags/gpu/?op=devices").json()
    assert (tagged["zone"]["name"], tagged["tag_names"]) == ("az1", ["gpu"])
    admin.send("DELETE", "tags/gpu/")
    admin.send("DELETE", "zones/az1/")
    left = admin.get(f"devices/{device['system_id']}/").json()
    assert (left["zone"]["name"], left["tag_names"]) == ("default", [])


def test_suppressed_failures_do_not_count_in_the_status_of_the_machine(
    admin: Maas, region: SimulatedRegion, clock: Any
) -> None:
    region.plan("node02", fail="smartctl-validate")
    admin.op("node02", "test")
    clock.pass_(3600)
    failed = admin.read("node02")
    path = f"nodes/{failed['system_id']}/results/current-testing/"
    admin.send("PUT", path, data={"suppressed": "true"})
    assert (failed["testing_status_name"], admin.read("node02")["testing_status_name"]) == ("Failed", "Unknown")


def test_the_older_list_has_the_latest_results_and_the_errors(admin: Maas, region: SimulatedRegion, clock: Any) -> None:
    region.plan("node02", fail="smartctl-validate")
    admin.op("node02", "test")
    clock.pass_(3600)
    listed = admin.get(f"installation-results/?system_id={admin.read('node02')['system_id']}&result_type=2").json()
    assert [(each["name"], each["script_result"]) for each in listed] == [
        ("smartctl-validate", 1),
        ("smartctl-validate.err", 1),
    ]


def test_maas_keeps_three_installations_of_a_machine(admin: Maas, clock: Any) -> None:
    for _ in range(4):
        admin.op("node02", "deploy")
        clock.pass_(3600)
        admin.op("node02", "release")
        clock.pass_(600)
    sets = admin.get(f"nodes/{admin.read('node02')['system_id']}/results/?type=installation").json()
    assert len(sets) == 3
