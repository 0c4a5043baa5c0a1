"""The form of a machine, and operations on several machines: MAAS's messages, and changes that are stored."""

from typing import Any

import pytest

from maas_simulator import SimulatedRegion

NO_CHOICE = "Select a valid choice. That choice is not one of the available choices."
NEW = {"architecture": "amd64", "mac_addresses": "52:54:00:ff:00:09", "power_type": "manual", "commission": "false"}
WEBHOOK = {f"power_parameters_power_{name}_uri": f"http://bmc/{name}" for name in ("on", "off", "query")}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hostname", "a_b!", "Host label cannot contain underscore: 'a_b!'."),
        ("hostname", "two words", "Label contains disallowed characters: 'two words'."),
        ("hostname", "-x", "Label cannot start or end with hyphen: '-x'."),
        ("hostname", "x" * 64, f"Label is too long: '{'x' * 64}'.  Maximum allowed is 63 characters."),
        ("hostname", "node02", "Node with this Hostname already exists."),
        ("zone", "nozone", NO_CHOICE),
        ("pool", "nopool", NO_CHOICE),
        ("domain", "nodomain", "Unable to find domain nodomain"),
        (
            "architecture",
            "vax",
            "'vax' is not a valid architecture.  It should be one of: 'amd64/generic', 'arm64/generic'.",
        ),
        ("cpu_count", "many", "Enter a whole number."),
        ("memory", "8G", "Enter a whole number."),
        ("swap_size", "x", "Invalid size for swap: x"),
        ("min_hwe_kernel", "nope", 'No kernel matches ">=nope" requirement.'),
        ("power_type", "nope", "Select a valid choice. nope is not one of the available choices."),
    ],
)
def test_a_bad_value_is_rejected_and_changes_nothing(admin: Any, field: str, value: str, message: str) -> None:
    before = admin.read("node01")
    answer = admin.send("PUT", "machines/7xneda/", data={field: value, "description": "new"})
    assert (answer.status_code, answer.json()) == (400, {field: [message]})
    assert admin.read("node01") == before


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"cpu_count": "-3"}, {"cpu_count": -3}),
        ({"memory": "1024"}, {"memory": 1024}),
        ({"swap_size": "2G"}, {"swap_size": 2 * 10**9}),
        ({"min_hwe_kernel": "ga-22.04"}, {"min_hwe_kernel": "ga-22.04"}),
        ({"architecture": "arm64/generic"}, {"architecture": "arm64/generic"}),
        ({"power_type": ""}, {"power_type": ""}),
        ({"power_type": "webhook", **WEBHOOK}, {"power_type": "webhook"}),
        ({"status": "6", "owner": "bob", "locked": "true"}, {"status": 4, "owner": None, "locked": False}),
        ({}, {"status": 4}),
    ],
)
def test_a_good_value_is_stored(admin: Any, given: dict[str, str], shown: dict[str, Any]) -> None:
    assert admin.send("PUT", "machines/7xneda/", data=given).status_code == 200
    assert shown.items() <= admin.read("node01").items()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"power_parameters_power_user": "root"}, "Unknown parameter(s): power_user."),
        ({"power_type": "webhook"}, "This field is required."),
        ({"power_type": "manual", "power_parameters_x": "1"}, "Unknown parameter(s): x."),
    ],
)
def test_power_parameters_are_those_of_the_given_power_type(admin: Any, given: dict[str, str], message: str) -> None:
    assert admin.send("PUT", "machines/7xneda/", data=given).json() == {"power_parameters": [message]}
    skipped = {**given, "power_parameters_skip_check": "true"}
    assert admin.send("PUT", "machines/7xneda/", data=skipped).status_code == 200


def test_power_parameters_are_stored_with_the_defaults_of_their_type(admin: Any) -> None:
    assert admin.send("PUT", "machines/7xneda/", data={"power_type": "webhook", **WEBHOOK}).status_code == 200
    stored = admin.get("machines/7xneda/?op=power_parameters").json()
    assert (stored["power_on_uri"], stored["power_verify_ssl"]) == ("http://bmc/on", "n")


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"architecture": "", "mac_addresses": ""}, {"architecture", "mac_addresses", "power_type"}),
        ({"mac_addresses": "zz"}, {"mac_addresses", "power_type"}),
        ({"architecture": "vax"}, {"architecture"}),
        ({"hostname": "node01"}, {"hostname"}),
        ({"zone": "nozone"}, {"zone"}),
    ],
)
def test_a_machine_is_not_created_from_a_bad_form(admin: Any, changes: dict[str, str], errors: set[str]) -> None:
    count = len(admin.get("machines/").json())
    answer = admin.post("machines/", **{**NEW, **changes})
    assert (answer.status_code, set(answer.json())) == (400, errors)
    assert len(admin.get("machines/").json()) == count


@pytest.mark.parametrize(
    ("user", "changes", "status"),
    [
        ("admin", {}, "New"),
        ("admin", {"commission": "true"}, "Commissioning"),
        ("admin", {"commission": ""}, "Commissioning"),
        ("bob", {"commission": "true"}, "New"),
    ],
)
def test_only_superusers_commission_a_machine_as_they_create_it(
    request: pytest.FixtureRequest, user: str, changes: dict[str, str], status: str
) -> None:
    made = request.getfixturevalue(user).post("machines/", **{**NEW, **changes, "zone": "az1"}).json()
    assert (made["status_name"], made["architecture"], made["zone"]["name"]) == (status, "amd64/generic", "az1")


def test_machines_are_accepted_together_or_not_at_all(admin: Any, bob: Any) -> None:
    made = [
        admin.post("machines/", **{**NEW, "mac_addresses": f"52:54:00:ff:00:{n}"}).json()["system_id"] for n in (11, 12)
    ]
    refused = bob.post("machines/?op=accept", machines=made)
    assert refused.status_code == 403
    assert refused.text.startswith("You don't have the required permission to accept the following machine(s): ")
    assert bob.post("machines/?op=accept_all").json() == []
    assert admin.post("machines/?op=accept", machines=[*made, "zzzzzz"]).text == "Unknown machine(s): zzzzzz."
    assert admin.post("machines/?op=accept", machines=[*made, "7xneda"]).status_code == 409
    accepted = admin.post("machines/?op=accept", machines=made).json()
    assert [each["status_name"] for each in accepted] == ["Commissioning"] * 2


def test_annotations_belong_to_the_owner_and_end_with_the_release(admin: Any, region: SimulatedRegion) -> None:
    path = "machines/7xneda/?op=set_workload_annotations"
    assert admin.post(path, app="web").text == "Cannot set workload annotation: it hasn't been acquired."
    admin.post("machines/?op=allocate", name="node01")
    assert admin.post(path, app="web", tier="1").json()["workload_annotations"] == {"app": "web", "tier": "1"}
    assert admin.post("machines/7xneda/?op=set_owner_data", app="").json()["owner_data"] == {"tier": "1"}
    admin.op("node01", "release")
    region.advance(60)
    assert admin.read("node01")["owner_data"] == {}


def test_a_method_for_superusers_says_so(bob: Any) -> None:
    answer = bob.get("machines/?op=power_parameters")
    assert (answer.status_code, answer.text) == (403, "This method is reserved for admin users.")


@pytest.mark.parametrize("collection", ["machines", "nodes", "devices", "rackcontrollers"])
def test_nodes_that_a_user_does_not_administer_are_unknown_to_set_zone(admin: Any, bob: Any, collection: str) -> None:
    unknown = {"system_id": ["Some of the given system ids are invalid system ids."]}
    for client, system_id in ((bob, "7xneda"), (admin, "zzzzzz")):
        answer = client.post(f"{collection}/?op=set_zone", zone="az2", nodes=system_id)
        assert (answer.status_code, answer.json()) == (400, unknown)
    assert admin.read("node01")["zone"]["name"] != "az2"


def test_a_new_machine_may_enlist_again(admin: Any) -> None:
    for hostname, registered in (("node01", True), ("node10", False)):
        mac = admin.read(hostname)["interface_set"][0]["mac_address"]
        assert admin.get(f"machines/?op=is_registered&mac_address={mac}").json() is True
        assert admin.send("GET", f"machines/?op=is_registered&mac_address={mac}", headers={}).json() is registered


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("hostname=node01&hostname=node03", ["node01", "node03"]),
        ("hostname=", []),
        ("hostname=node01.maas", []),
        ("id=7xneda&hostname=node03", []),
        ("agent_name=&hostname=node01", ["node01"]),
        ("system_id=7xneda", ["node01"]),
        ("not_id=7xneda&hostname=node01", []),
        ("status=ready&hostname=node01", ["node01"]),
        ("not_status=ready&hostname=node01", []),
        ("tags=gpu&hostname=node02", ["node02"]),
        ("not_tags=nosuch&hostname=node02", ["node02"]),
        ("subnets=pxe&hostname=node01", ["node01"]),
        ("not_subnets=cidr:10.10.0.0/24&hostname=node01", []),
        ("vlans=vid:0&hostname=node01", ["node01"]),
        ("not_fabrics=fabric-0&hostname=node01", []),
        ("fabric_classes=10g", []),
        ("storage=root:1(ssd)&hostname=node01", ["node01"]),
        ("interfaces=a:subnet=pxe,link_speed=1000&hostname=node01", ["node01"]),
        ("pod=nopod", []),
        ("not_pod_type=lxd&hostname=node01", ["node01"]),
        ("domain=nodomain", []),
        ("owner=nobody", []),
        ("cpu_count=1&mem=1&hostname=node01", ["node01"]),
        ("op=&hostname=node01", ["node01"]),
    ],
)
def test_a_list_has_the_machines_that_match_all_filters(admin: Any, query: str, found: list[str]) -> None:
    for path in ("machines", "nodes"):
        assert [machine["hostname"] for machine in admin.get(f"{path}/?{query}").json()] == found


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("colour=blue&shape=round", {"colour": "No such constraint.", "shape": "No such constraint."}),
        ("name=node01", {"name": "No such constraint."}),
        ("status=Ready", {"status": "Select a valid choice. Ready is not one of the available choices."}),
        ("arch=vax", {"arch": "Architecture not recognised."}),
        ("mem=8G", {"mem": "Invalid memory: number of MiB required."}),
        ("link_speed=fast", {"link_speed": "Invalid link speed: number required."}),
        ("zone=nozone", {"zone": "No such zone(s): nozone."}),
        ("vlans=nope", {"vlans": "No matching VLANs found."}),
        ("not_subnets=nope", {"not_subnets": "No matching subnets found."}),
        ("storage=abc", {"storage": 'Malformed storage constraint, "abc".'}),
        ("devices=nonsense", {"devices": "Unknown devices constraint: 'nonsense"}),
    ],
)
def test_bad_filters_are_rejected(admin: Any, query: str, errors: dict[str, str]) -> None:
    for path in ("machines", "nodes"):
        answer = admin.get(f"{path}/?{query}")
        assert (answer.status_code, answer.json()) == (400, {name: [text] for name, text in errors.items()})
