"""The two variants of MAAS 3.7.3, and the behaviour that they share."""

from pathlib import Path
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, Variant, read_world
from simulator.tests.conftest import Maas

HOUR = 3600.0


def pxe(said: list[Any]) -> list[str]:
    return [description for _, kind, description in said if kind == "PXE Request"]


@pytest.mark.parametrize("purpose", ["commissioning", "rescue mode"])
def test_the_purpose_of_a_rescue_boot_depends_on_the_variant(
    admin: Any, region: SimulatedRegion, clock: Any, purpose: Any
) -> None:
    region.variant = Variant(rescue_boot=purpose)
    for op in ("rescue_mode", "exit_rescue_mode", "test", "commission"):
        admin.op("node02", op)
        clock.pass_(HOUR)
    assert pxe(admin.said("node02")) == [purpose, "commissioning", "commissioning"]


@pytest.mark.parametrize("shown", [True, False])
def test_a_local_boot_adds_events_in_one_variant(admin: Any, region: SimulatedRegion, clock: Any, shown: bool) -> None:
    region.variant = Variant(local_boot_events=shown)
    admin.op("node07", "power_off")
    admin.op("node07", "power_on")
    clock.pass_(HOUR)
    assert pxe(admin.said("node07")) == (["local boot"] if shown else [])


def test_a_world_file_sets_the_variant(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    file.write_text("machines:\n  - {hostname: a}\nvariant: {local_boot_events: true}\n", encoding="utf-8")
    region = read_world(file, speed=0)
    admin = Maas(region, region.api_key)
    admin.op("a", "deploy")
    region.advance(HOUR)
    assert pxe(admin.said("a")) == ["installation", "local boot"]


def test_the_control_changes_the_variant(control: Any, region: SimulatedRegion) -> None:
    second = {"local_boot_events": False, "rescue_boot": "rescue mode"}
    assert control("GET", "/variant") == (200, second)
    first = {"local_boot_events": True, "rescue_boot": "commissioning"}
    assert control("PUT", "/variant", first) == (200, first)
    assert region.variant == Variant(local_boot_events=True, rescue_boot="commissioning")
    assert "rescue_boot: Input should be 'commissioning' or 'rescue mode'" in control.refused(
        "PUT", "/variant", {"rescue_boot": "x"}
    )


def test_an_administrator_who_enters_rescue_mode_owns_the_machine_from_then_on(
    admin: Any, bob: Any, region: SimulatedRegion, clock: Any
) -> None:
    region.change_owner("node07", "bob")
    bob.op("node07", "deploy")
    clock.pass_(HOUR)
    for op in ("rescue_mode", "exit_rescue_mode"):
        assert admin.op("node07", op).json()["owner"] == "admin"
        clock.pass_(HOUR)
    machine = admin.read("node07")
    assert (machine["status_name"], machine["owner"]) == ("Deployed", "admin")
    assert bob.get(f"machines/{machine['system_id']}/").status_code == 403


def test_an_administrator_who_tests_does_not_become_the_owner(
    admin: Any, bob: Any, region: SimulatedRegion, clock: Any
) -> None:
    region.change_owner("node07", "bob")
    bob.op("node07", "deploy")
    clock.pass_(HOUR)
    assert admin.op("node07", "test").json()["owner"] == "bob"
    clock.pass_(HOUR)
    assert admin.read("node07")["owner"] == "bob"


def test_the_second_of_two_users_who_deploy_at_once_is_forbidden(admin: Any, bob: Any) -> None:
    answers = [each.op("node02", "deploy") for each in (admin, bob)]
    assert [(each.status_code, each.text[:0]) for each in answers] == [(200, ""), (403, "")]
    assert answers[1].text == ""
    assert admin.read("node02")["owner"] == "admin"


def test_an_old_error_description_survives_a_deployment_and_a_failed_commissioning(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    region.plan("node02", fail="Installing OS", reason="disk full")
    admin.op("node02", "deploy")
    clock.pass_(HOUR)
    for op in ("release", "deploy", "release"):
        admin.op("node02", op)
        clock.pass_(HOUR)
        assert admin.read("node02")["error_description"] == "disk full"
    region.plan("node02", fail="maas-lshw")
    admin.op("node02", "commission")
    clock.pass_(HOUR)
    machine = admin.read("node02")
    assert (machine["status_name"], machine["error_description"]) == ("Failed commissioning", "disk full")
