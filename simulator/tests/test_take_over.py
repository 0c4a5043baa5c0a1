"""A machine that another user takes over between two polls of a client, as recorded from MAAS 3.7.3."""

from typing import Any

import pytest

from maas_simulator import SimulatedRegion


def installing(admin: Any, clock: Any, name: str = "node02") -> int:
    """Deploy a machine until its system is being installed; returns the id of the newest event."""
    admin.op(name, "deploy")
    while admin.region.machine(name).status_message != "Installing OS":
        clock.pass_(1)
    cursor: int = admin.cursor()
    return cursor


def test_a_takeover_shows_all_events_at_once_in_maas_order(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    cursor = installing(admin, clock)
    first = admin.read("node02")["current_installation_result_id"]

    region.take_over(
        "node02", "bob", released_by="admin", because="needed elsewhere", distro_series="jammy", comment="mine"
    )

    assert admin.said("node02", cursor) == [
        ("DEBUG", "User releasing node", "(admin) - needed elsewhere"),
        ("DEBUG", "Node changed status", "From 'Deploying' to 'Releasing'"),
        ("INFO", "Releasing", ""),
        ("INFO", "Configuring OS", ""),
        ("DEBUG", "Node installation", "'curtin' configuring installed system"),
        ("DEBUG", "Node status event", "'curtin' executing late commands"),
        ("DEBUG", "Node changed status", "From 'Releasing' to 'Ready'"),
        ("INFO", "Released", ""),
        ("DEBUG", "User acquiring node", "(bob) - mine"),
        ("DEBUG", "Node changed status", "From 'Ready' to 'Allocated' (to bob)"),
        ("DEBUG", "User starting deployment", "(bob) - mine"),
        ("DEBUG", "Node changed status", "From 'Allocated' to 'Deploying'"),
        ("INFO", "Deploying", ""),
    ]
    machine = admin.read("node02")
    assert (machine["status_name"], machine["owner"], machine["distro_series"]) == ("Deploying", "bob", "jammy")
    assert machine["status_action"] == ""
    assert machine["current_installation_result_id"] > first
    clock.pass_(3600)
    assert (region.machine("node02").status_name, region.machine("node02").owner) == ("Deployed", "bob")


@pytest.mark.parametrize("name", ["node01", "node07", "node08"])
def test_any_machine_that_can_be_ready_can_be_taken_over(admin: Any, region: SimulatedRegion, name: str) -> None:
    region.take_over(name, "bob")
    assert (admin.read(name)["status_name"], admin.read(name)["owner"]) == ("Deploying", "bob")


def test_a_machine_that_cannot_become_ready_is_unchanged(region: SimulatedRegion) -> None:
    with pytest.raises(ValueError, match="a machine that is New cannot be taken over"):
        region.take_over("node10", "bob")
    assert region.machine("node10").owner is None


def test_an_unknown_user_cannot_take_a_machine_over(region: SimulatedRegion) -> None:
    for people in ({"username": "eve"}, {"username": "bob", "released_by": "eve"}):
        username = people.pop("username")
        with pytest.raises(KeyError, match="there is no user 'eve'"):
            region.take_over("node07", username, **people)
    assert region.machine("node07").status_name == "Deployed"


def test_the_control_takes_a_machine_over_like_python(admin: Any, control: Any) -> None:
    given = {"machine": "node07", "user": "bob", "released_by": "admin", "because": "x", "form": {"comment": "mine"}}
    cursor = admin.cursor()
    status, answer = control("POST", "/acts/take_over", given)
    assert (status, answer["status_name"], answer["owner"]) == (200, "Deploying", "bob")
    said = admin.said("node07", cursor)
    assert said[0] == ("DEBUG", "User releasing node", "(admin) - x")
    assert ("DEBUG", "User acquiring node", "(bob) - mine") in said


def test_a_machine_released_while_deploying_adds_events_until_it_is_off(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    cursor = installing(admin, clock)
    admin.op("node02", "release")
    assert region.machine("node02").status_name == "Releasing"
    clock.pass_(60)
    said = admin.said("node02", cursor)
    releasing = said.index(("INFO", "Releasing", ""))
    released = said.index(("INFO", "Released", ""))
    assert releasing < said.index(("INFO", "Configuring OS", "")) < released


def test_a_machine_released_early_adds_no_more_events(admin: Any, region: SimulatedRegion, clock: Any) -> None:
    admin.op("node02", "deploy")
    while region.machine("node02").status_message != "Loading ephemeral":
        clock.pass_(1)
    cursor = admin.cursor()
    region.take_over("node02", "bob")
    assert [said for said in admin.said("node02", cursor) if "curtin" in said[2]] == []
