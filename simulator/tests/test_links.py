"""Everything in MAAS works or is not simulated, and nothing is unknown: links in responses, and API paths."""

from collections.abc import Iterator
from typing import Any

import pytest

READS = (
    "machines/",
    "zones/",
    "resourcepools/",
    "tags/",
    "domains/",
    "subnets/",
    "users/",
    "spaces/",
    "networks/",
    "boot-resources/",
    "fabrics/0/vlans/",
    "nodes/ywtymp/results/",
    "events/?op=query",
)


def links(shown: object) -> Iterator[str]:
    """Yield all addresses in JSON."""
    match shown:
        case dict():
            for name, value in shown.items():
                if name.endswith("_uri") and value:
                    yield value
                yield from links(value)
        case list():
            for each in shown:
                yield from links(each)


def test_every_link_works_or_is_not_simulated(admin: Any) -> None:
    found = {link for path in READS for link in links(admin.get(path).json())}
    statuses = {link: admin.get(f"http://maas{link}").status_code for link in sorted(found)}
    assert {link: status for link, status in statuses.items() if status not in (200, 501)} == {}
    assert sum(status == 200 for status in statuses.values()) > len(statuses) / 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("zones/az1/", {"name": "az1", "id": 2}),
        ("users/bob/", {"username": "bob", "is_superuser": False}),
        ("users/MAAS/", {"username": "MAAS", "is_superuser": True}),
        ("domains/0/", {"name": "maas"}),
        ("vlans/5001/", {"id": 5001, "fabric": "fabric-0"}),
        ("spaces/undefined/", {"id": -1}),
        ("spaces/-1/", {"name": "undefined"}),
        ("networks/subnet-1/", {"description": "pxe"}),
        ("nodes/7xneda/interfaces/10/", {"name": "eno1"}),
        ("nodes/7xneda/blockdevices/10/", {"name": "sda"}),
    ],
)
def test_a_single_read_equals_the_list_item(admin: Any, path: str, expected: dict[str, object]) -> None:
    one = admin.get(path).json()
    every = (
        admin.get(path.rstrip("/").rpartition("/")[0] + "/") if "vlans" not in path else admin.get("fabrics/0/vlans/")
    )
    assert one in every.json()
    assert {name: one[name] for name in expected} == expected


@pytest.mark.parametrize(
    "path",
    [
        "zones/nozone/",
        "users/nobody/",
        "domains/9/",
        "vlans/9/",
        "spaces/dmz/",
        "networks/subnet-99/",
        "nodes/7xneda/interfaces/9/",
        "nodes/7xneda/blockdevices/9/",
        "nodes/zzzzzz/interfaces/10/",
    ],
)
def test_a_missing_item_is_a_404(admin: Any, path: str) -> None:
    answer = admin.get(path)
    assert answer.status_code == 404
    assert answer.text.endswith(" matches the given query.")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "discovery/?op=scan"),
        ("GET", "rackcontrollers/bwdhs4/?op=details"),
        ("POST", "files/"),
        ("GET", "nodes/7xneda/blockdevices/10/partition/10"),
        ("POST", "machines/7xneda/?op=restore_default_configuration"),
        ("POST", "http://maas/MAAS/accounts/login/"),
        ("GET", "http://maas/MAAS/a/v3/machines"),
        ("GET", "http://maas/MAAS/r/"),
    ],
)
def test_other_parts_of_maas_are_not_simulated(admin: Any, method: str, path: str) -> None:
    answer = admin.send(method, path)
    assert (answer.status_code, answer.text.startswith("The simulator does not do this: ")) == (501, True)


def test_unsimulated_paths_still_need_credentials(admin: Any) -> None:
    assert admin.send("GET", "vm-hosts/1/", headers={}).status_code == 401
    assert admin.send("GET", "nodes/", headers={}).status_code == 400
