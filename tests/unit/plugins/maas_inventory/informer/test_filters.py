"""Filters: which rows match, and what MAAS is asked."""

from typing import Any

import pytest

from maas_inventory.informer.filters import Filter
from maas_inventory.informer.rows import Row

NODE = Row(
    system_id="4y3h7n",
    status=4,
    status_name="Ready",
    hostname="Node04",
    fqdn="Node04.maas",
    zone="az1",
    pool="gpu",
    owner="alice",
    tag_names=("gpu", "ssd"),
    architecture="amd64/generic",
    cpu_count=16,
    memory=8192,
    storage=480_000.0,
    ip_addresses=("10.0.3.7",),
    mac_addresses=("52:54:00:aa:02:01",),
    power_state="on",
)
MATCHING: list[dict[str, Any]] = [
    {},
    {"ids": ("4y3h7n", "zzzzzz")},
    {"names": ("node04",)},
    {"names": ("NODE04.MAAS.",)},
    {"names": ("node0[1-5]",)},
    {"names": ("other", "*.maas")},
    {"statuses": (0, 4), "zones": ("az1",), "pools": ("gpu",)},
    {"tags": ("ssd", "gpu"), "not_tags": ("broken",)},
    {"owners": ("alice", "bob")},
    {"architectures": ("amd64",)},
    {"architectures": ("amd64/generic",)},
    {"power_states": ("on",)},
    {"mac_addresses": ("52:54:00:AA:02:01",)},
    {"ip_addresses": ("10.0.3.7",)},
    {"min_cpu_count": 16, "min_memory": 8192, "min_storage": 480_000.0},
]
OTHERS: list[dict[str, Any]] = [
    {"ids": ("zzzzzz",)},
    {"names": ("node0",)},
    {"names": ("node04.example.com",)},
    {"statuses": (5,)},
    {"zones": ("AZ1",)},
    {"tags": ("ssd", "nvme")},
    {"not_tags": ("ssd",)},
    {"owners": ("",)},
    {"architectures": ("arm64",)},
    {"mac_addresses": ("52:54:00:aa:02:02",)},
    {"ip_addresses": ("10.0.3.70",)},
    {"min_cpu_count": 17},
    {"min_memory": 8193},
    {"min_storage": 480_001.0},
    {"zones": ("az1",), "pools": ("default",)},
]


@pytest.mark.parametrize("given", MATCHING)
def test_a_machine_that_meets_all_conditions_matches(given: dict[str, Any]) -> None:
    assert Filter(**given).matches(NODE)


@pytest.mark.parametrize("given", OTHERS)
def test_a_machine_that_misses_a_condition_does_not_match(given: dict[str, Any]) -> None:
    assert not Filter(**given).matches(NODE)


def test_machines_without_an_owner_can_be_wanted() -> None:
    free = Row(system_id="a", status=4, status_name="Ready", hostname="a")

    assert Filter(owners=("",)).matches(free)
    assert not Filter(owners=("",)).is_selective


@pytest.mark.parametrize(
    ("given", "selective"),
    [
        ({}, False),
        ({"zones": ("az1",), "statuses": (4,)}, False),
        ({"names": ("node*",)}, False),
        ({"names": ("node04",)}, True),
        ({"tags": ("gpu",)}, True),
        ({"mac_addresses": ("52:54:00:aa:02:01",)}, True),
        ({"ip_addresses": ("10.0.3.7",)}, False),
        ({"agent_name": "juju"}, True),
    ],
)
def test_maas_is_asked_only_for_what_few_machines_match(given: dict[str, Any], *, selective: bool) -> None:
    assert Filter(**given).is_selective is selective


def test_maas_is_asked_in_its_own_words() -> None:
    wanted = Filter(names=("Node04.maas",), statuses=(11, 4), zones=("az1",), owners=("alice",), tags=("gpu",))

    assert wanted.query() == {
        "hostname": ["Node04", "node04"],
        "status": ["ready", "failed_deployment"],
        "zone": ("az1",),
        "owner": ("alice",),
        "tags": ("gpu",),
    }


def test_a_named_machine_that_is_missing_is_found_missing() -> None:
    wanted = Filter(names=("node04", "node05", "no*"), ids=("zzzzzz",), mac_addresses=("52:54:00:AA:02:01",))

    assert wanted.find_missing([NODE]) == ["node05", "zzzzzz"]
