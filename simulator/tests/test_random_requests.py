"""Whatever a client sends: no 500 of the simulator's own, no change after a 4xx, no change of what is not one's own."""

from collections.abc import Iterator, Mapping
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from maas_simulator import SimulatedRegion, demo_region
from maas_simulator.http.calls import Endpoint
from maas_simulator.http.endpoints import ENDPOINTS, RESOURCES
from simulator.tests.conftest import Maas

ERRORS_OF_MAAS = (
    "Cannot resolve keyword 'name' into field.",
    "Field 'id' expected a number but got ",
    "cannot unpack non-iterable NoneType object",
    "sequence item 0: expected str instance, NoneType found",
    "Unknwon protocol ",  # codespell:ignore unknwon
    "failed to detect a valid IP address from",
    "invalid literal for int() with base 10:",
    "Error determining BMC task queue",
    "BootResource matching query does not exist.",
    "'NoneType' object has no attribute 'split'",
    "No resources found from commissioning output",
    "PartitionTable matching query does not exist.",
    "Got more than one ",
    "Not a valid Boolean value (0 or 1):",
)
"""The beginnings of the 500s that MAAS itself sends. All but the last two were recorded."""

OWN = frozenset({"SSHKey", "SSLKey", "Device", "IPRange", "StaticIPAddress"})
"""Kinds whose objects belong to the user who makes them."""

FIELDS = sorted(
    {each.name for resource in RESOURCES for each in resource.form.fields}
    | {"hostname", "zone", "pool", "distro_series", "architecture", "mac_addresses", "power_type", "erase", "machines"}
    | {"comment", "testing_scripts", "commissioning_scripts", "scripts", "ephemeral_deploy", "install_kvm", "tags"}
    | {"system_id", "mem", "cpu_count", "storage", "interfaces", "dry_run", "nodes", "add", "remove", "mode", "subnet"}
    | {"fabrics", "not_tags", "limit", "after", "level", "id", "status", "link_id", "storage_layout", "size", "parents"}
)
VALUES = (
    *("", "0", "1", "2", "-1", "99999", "x", "true", "false", "default", "az1", "gpu", "pxe", "node01", "node04"),
    *("7xneda", "x7twrr", "zzzzzz", "ubuntu/noble", "noble", "amd64/generic", "manual", "ipmi", "flat", "dynamic"),
    *("10.10.0.0/24", "10.77.0.0/24", "10.10.0.60", "10.10.0.300", "::1", "fd00::/64", "52:54:00:aa:bb:cc", "a b"),
    *(
        "ä%00'\"<>",
        "x" * 300,
        "root:50(ssd)",
        "smartctl-validate",
        "admin",
        "bob",
        "5001",
        "STATIC",
        "AUTO",
        "reserved",
    ),
)

PARTS: Mapping[str, tuple[str, ...]] = {
    "system_id": ("7xneda", "fyc3ff", "x7twrr", "ywtymp", "ergrgd", "a8wxd4", "zzzzzz", "bwdhs4"),
    "name": ("default", "az1", "gpu", "smartctl-validate", "no such"),
    "username": ("admin", "bob", "nobody"),
}
"""Variable parts of paths; all others are ids."""
IDS = ("0", "1", "2", "10", "20", "5001", "5002", "99999", "no such")
FORMS_BY_PATH = {
    path: [each.name for each in resource.form.fields]
    for resource in RESOURCES
    for path in (resource.many, resource.one)
}


def forms(endpoint: Endpoint) -> st.SearchStrategy[dict[str, str]]:
    """Parameters for an endpoint: mostly those of its form."""
    own = [*FORMS_BY_PATH.get(endpoint.path, ()), "comment"]
    pairs = st.tuples(st.sampled_from(own) | st.sampled_from(FIELDS), st.sampled_from(VALUES))
    return st.lists(pairs, max_size=6).map(dict)


def actions() -> Iterator[tuple[Endpoint, str, str | None]]:
    for endpoint in ENDPOINTS:
        for method, op in endpoint.handlers:
            yield endpoint, method, op


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    endpoint, method, op = draw(st.sampled_from(ACTIONS))
    path = endpoint.path
    for name in endpoint.params:
        path = path.replace(f"{{{name}}}", draw(st.sampled_from(PARTS.get(name, IDS))), 1)
    form = draw(forms(endpoint))
    query = {"op": op} if op else {}
    if method in ("GET", "DELETE"):
        return method, path, {"params": {**query, **form}}
    return method, path, {"params": query, "data": form}


ACTIONS = list(actions())


def state(region: SimulatedRegion) -> dict[str, Mapping[Any, str]]:
    """All that a request can change, as text."""
    return {
        "machines": {name: repr(machine) for name, machine in region.machines.items()},
        "users": {name: repr(user) for name, user in region.users.items()},
        "interfaces": {name: repr(nics) for name, nics in region.tables.interfaces.items()},
        "settings": {name: repr(value) for name, value in region.settings.items()},
        **{
            kind: {number: repr(record) for number, record in table.items()}
            for kind, table in region.tables.items()
            if table
        },
    }


@pytest.mark.parametrize("username", ["admin", "bob"])
@hypothesis.settings(max_examples=100)
@hypothesis.given(st.lists(requests(), min_size=1, max_size=20))
def test_no_request_fails_and_a_rejected_one_changes_nothing(
    username: str, sent: list[tuple[str, str, dict[str, Any]]]
) -> None:
    region = demo_region(speed=0)
    client = Maas(region, region.api_key_of(username))
    others = {name for name, machine in region.machines.items() if machine.owner not in (None, username)}
    for method, path, body in sent:
        if username not in region.users:
            break
        before = state(region)
        answer = client.send(method, path, **body)
        assert answer.status_code != 500 or answer.text.startswith(ERRORS_OF_MAAS), (method, path, body, answer.text)
        after = state(region)
        if answer.status_code >= 400 and answer.status_code not in (500, 503):
            assert after == before, (method, path, body, answer.text)
        if username == "bob":
            assert not set(find_changes(before, after)) & others, (method, path, body)
            changed = {kind for kind in before.keys() | after.keys() if before.get(kind) != after.get(kind)}
            allowed = OWN | {"machines"} | ({"Notification"} if body["params"].get("op") == "dismiss" else set())
            assert changed <= allowed, (method, path, body)


def find_changes(before: dict[str, Mapping[Any, str]], after: dict[str, Mapping[Any, str]]) -> Iterator[str]:
    for name in before["machines"].keys() | after["machines"].keys():
        if before["machines"].get(name) != after["machines"].get(name):
            yield name
