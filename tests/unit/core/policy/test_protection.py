"""A site's rules protect machines, and a field that cannot be read protects as well."""

import pytest

from maas_mcp.maas.models import Machine
from maas_mcp.policy.configuration import Protection
from maas_mcp.policy.protection import protecting_rule

MACHINE = {
    "system_id": "7xneda",
    "hostname": "db-01",
    "fqdn": "db-01.maas",
    "status": 6,
    "owner": "bob",
    "tag_names": ["ssd"],
    "pool": {"name": "gold"},
    "zone": {"name": "rack-4"},
}


def rule(protect: Protection, username: str | None = "ada", **changed: object) -> str | None:
    found = protecting_rule(protect, Machine.model_validate({**MACHINE, **changed}), username)
    return found and found[0]


def test_the_tag_protected_protects_by_default() -> None:
    assert rule(Protection()) is None
    assert rule(Protection(), tag_names=["ssd", "protected"]) == "protect.tags"


@pytest.mark.parametrize(
    ("protect", "expected"),
    [
        (Protection(tags=("ssd",)), "protect.tags"),
        (Protection(pools=("gold",)), "protect.pools"),
        (Protection(zones=("rack-4",)), "protect.zones"),
        (Protection(hostnames=("DB-*",)), "protect.hostnames"),
        (Protection(hostnames=("*.maas",)), "protect.hostnames"),
        (Protection(other_owners=True), "protect.other_owners"),
        (Protection(tags=(), pools=("silver",), zones=("rack",), hostnames=("web-*", "db")), None),
    ],
)
def test_each_rule_protects_the_machines_that_it_names(protect: Protection, expected: str | None) -> None:
    assert rule(protect) == expected


def test_ones_own_machines_and_free_machines_are_not_those_of_others() -> None:
    assert rule(Protection(other_owners=True), username="bob") is None
    assert rule(Protection(other_owners=True), owner=None) is None
    assert rule(Protection(other_owners=True), username=None) == "protect.other_owners"


@pytest.mark.parametrize(
    ("protect", "changed"),
    [
        (Protection(), {"tag_names": 7}),
        (Protection(tags=(), pools=("gold",)), {"pool": 7}),
        (Protection(tags=(), zones=("rack-4",)), {"zone": []}),
        (Protection(tags=(), hostnames=("db-*",)), {"hostname": None}),
        (Protection(tags=(), other_owners=True), {"owner": 7}),
    ],
)
def test_a_machine_is_protected_if_the_field_that_a_rule_needs_is_unreadable(
    protect: Protection, changed: dict[str, object]
) -> None:
    assert protecting_rule(protect, Machine.model_validate({**MACHINE, **changed}), "ada") is not None
