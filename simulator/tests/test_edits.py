"""Creating and changing objects, where the recorded MAAS traffic is incomplete."""

import io
import tarfile
from typing import Any

import pytest

from maas_simulator import SimulatedRegion

EDITS = [
    ("PUT", "machines/7xneda/", {"description": "spare", "zone": "az2"}),
    ("POST", "machines/?op=set_zone", {"zone": "az2", "nodes": ["7xneda"]}),
]


@pytest.mark.parametrize(("method", "path", "form"), EDITS)
def test_a_change_is_stored(admin: Any, method: str, path: str, form: dict[str, Any]) -> None:
    assert admin.send(method, path, data=form).status_code == 200
    assert admin.read("node01")["zone"]["name"] == "az2"


def test_a_renamed_machine_is_found_by_its_new_name_and_by_no_other(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    assert admin.send("PUT", "machines/ndn36c/", data={"hostname": "renamed"}).json()["fqdn"] == "renamed.maas"
    found = {name: admin.get(f"machines/?hostname={name}").json() for name in ("renamed", "node03")}
    assert [machine["system_id"] for machine in found["renamed"]] == ["ndn36c"]
    assert found["node03"] == []
    region.plan("renamed", fail="Installing OS")
    region.deploy("renamed", "admin")
    clock.pass_(900)
    assert region.machine("renamed").status_name == "Failed deployment"
    assert admin.get("events/?op=query&hostname=renamed").json()["count"] > 0
    with pytest.raises(KeyError, match="there is no machine 'node03'"):
        region.machine("node03")


def test_a_renamed_machine_is_deleted_and_leaves_both_of_its_names_free(admin: Any) -> None:
    admin.send("PUT", "machines/ndn36c/", data={"hostname": "renamed"})
    assert admin.send("DELETE", "machines/ndn36c/").status_code == 204
    assert admin.get("machines/ndn36c/").status_code == 404
    for path, name in (("7xneda", "renamed"), ("fyc3ff", "node03")):
        assert admin.send("PUT", f"machines/{path}/", data={"hostname": name}).status_code == 200


def test_a_rejected_change_changes_nothing(admin: Any) -> None:
    before = admin.read("node01")
    answer = admin.send("PUT", "machines/7xneda/", data={"description": "spare", "pool": "nopool"})
    assert (answer.status_code, set(answer.json())) == (400, {"pool"})
    assert admin.read("node01") == before


def test_a_created_machine_is_new_and_can_be_deleted(admin: Any) -> None:
    form = {"hostname": "spare", "architecture": "amd64/generic", "mac_addresses": "52:54:00:ff:00:09"}
    made = admin.post("machines/", **form, power_type="manual", commission="false").json()
    assert (made["hostname"], made["status_name"], made["power_type"]) == ("spare", "New", "manual")
    assert made["boot_interface"]["mac_address"] == form["mac_addresses"]
    assert admin.post("machines/", **form, power_type="manual").status_code == 400
    assert admin.send("DELETE", f"machines/{made['system_id']}/").status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("PUT", "machines/ndn36c/", {"hostname": "mine"}),
        ("PUT", "machines/ndn36c/", {"pool": "storage"}),
        ("PUT", "machines/ergrgd/", {"description": "theirs already"}),
        ("POST", "tags/", {"name": "spare"}),
        ("GET", "machines/7xneda/?op=power_parameters", {}),
    ],
)
def test_operations_for_superusers_are_forbidden_to_others(
    bob: Any, method: str, path: str, form: dict[str, str]
) -> None:
    answer = bob.send(method, path, data=form) if form else bob.send(method, path)
    assert (answer.status_code, answer.text) == (403, "")


def test_a_tag_is_created_only_once(admin: Any) -> None:
    assert admin.post("tags/", name="spare", comment="on the shelf").json()["comment"] == "on the shelf"
    assert admin.get("tags/spare/").json()["name"] == "spare"
    assert admin.get("tags/spare/?op=machines").json() == []
    assert admin.post("tags/", name="spare").json() == {"name": ["Tag with this Name already exists."]}


def test_script_output_is_downloaded_as_text_or_as_an_archive(admin: Any) -> None:
    path = "nodes/7xneda/results/current-commissioning/?op=download&filters=maas-lshw"
    text = admin.get(path)
    assert text.content.startswith(b"maas-lshw")
    packed = io.BytesIO(admin.get(f"{path}&filetype=tar.xz").content)
    with tarfile.open(fileobj=packed) as archive:
        (name,) = archive.getnames()
        member = archive.extractfile(name)
        assert member is not None
        assert (name.rpartition("/")[2], member.read()) == ("maas-lshw", text.content)


def test_a_subnet_shows_its_free_addresses(admin: Any, clock: Any) -> None:
    before = admin.get("subnets/pxe/?op=statistics").json()["num_available"]
    admin.op("node01", "deploy")
    clock.pass_(3600)
    assert admin.get("subnets/1/?op=statistics").json()["num_available"] == before - 1
    assert admin.get("subnets/bmc/?op=statistics").json()["num_available"] == 254


def test_commissioning_removes_the_layout_and_restores_it(admin: Any, clock: Any) -> None:
    admin.op("node01", "commission")
    machine = admin.read("node01")
    assert (machine["boot_disk"]["partitions"], machine["boot_interface"]["links"]) == ([], [])
    clock.pass_(3600)
    machine = admin.read("node01")
    assert len(machine["boot_disk"]["partitions"]) == len(machine["boot_interface"]["links"]) == 1


def test_a_skipped_script_ends_before_it_starts(admin: Any) -> None:
    admin.op("node01", "commission", skip_bmc_config="true")
    results = admin.get("nodes/7xneda/results/current-commissioning/").json()["results"]
    skipped = [result for result in results if result["status_name"] == "Skipped"]
    assert [(result["name"], result["exit_status"]) for result in skipped] == [("30-maas-01-bmc-config", 0)]


def test_the_power_state_is_unknown_after_a_query_without_a_rack(admin: Any, region: Any) -> None:
    region.rack_down()
    assert admin.get("machines/7xneda/?op=query_power_state").status_code == 503
    assert admin.read("node01")["power_state"] == "unknown"
