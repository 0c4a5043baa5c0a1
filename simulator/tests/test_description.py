"""The description of the API lists exactly the simulated operations, because clients build themselves from it."""

from typing import Any

import pytest

from maas_simulator import demo_region
from maas_simulator.http.endpoints import ENDPOINTS
from simulator.tests.conftest import Maas

REQUIRE_PARAMETERS = {"mount_special", "unmount_special", "set_storage_layout"}
PARTS = {"{system_id}": "7xneda", "{id}": "1"}


def described(admin: Maas) -> dict[str, dict[str, Any]]:
    answer = admin.send("GET", "describe/", headers={})
    assert answer.headers["Content-Type"] == "application/json"
    return {resource["name"]: resource for resource in answer.json()["resources"]}


def ask(method: str, uri: str, op: str | None) -> tuple[int, str]:
    """Send a request to a new region, since one action may prevent the next."""
    for name, value in PARTS.items():
        uri = uri.replace(name, value)
    region = demo_region()
    answer = Maas(region, region.api_key).send(method, uri + (f"?op={op}" if op else ""))
    return answer.status_code, answer.text


def test_the_description_needs_no_credentials(admin: Maas) -> None:
    assert {"MachinesHandler", "MachineHandler", "EventsHandler"} <= set(described(admin))


def test_every_described_action_exists(admin: Maas) -> None:
    for resource in described(admin).values():
        handler = resource["auth"]
        assert handler["uri"] == f"http://maas{handler['path']}"
        for action in handler["actions"]:
            status, text = ask(action["method"], handler["uri"], action["op"])
            # Only the whole list of nodes is not simulated, because it has the controllers.
            assert status != 501 or handler["path"].endswith("/nodes/"), action
            assert not text.startswith(("Unknown API endpoint", "Unrecognised signature")), action


def test_every_undescribed_action_is_not_simulated(admin: Maas) -> None:
    described_actions = {
        (resource["auth"]["uri"], action["method"], action["op"])
        for resource in described(admin).values()
        for action in resource["auth"]["actions"]
    }
    there = {(f"http://maas/MAAS/api/2.0/{each.path}", *action) for each in ENDPOINTS for action in each.handlers}
    others = there - described_actions
    assert described_actions < there
    for uri, method, op in others:
        # MAAS's own check of the parameters comes first for some.
        assert ask(method, uri, op)[0] in (501, 400 if op in REQUIRE_PARAMETERS else 501), (uri, method, op)


def test_only_the_version_is_described_as_anonymous(admin: Maas) -> None:
    for name, resource in described(admin).items():
        assert (resource["anon"] is None) == (name != "VersionHandler")


@pytest.mark.parametrize(("name", "params"), [("Machine", ["system_id"]), ("NodeScriptResult", ["system_id", "id"])])
def test_the_variable_parts_of_a_path_are_named(admin: Maas, name: str, params: list[str]) -> None:
    handler = described(admin)[f"{name}Handler"]["auth"]
    assert handler["params"] == params
    assert all(f"{{{param}}}" in handler["uri"] for param in params)
