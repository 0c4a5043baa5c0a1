"""Several regions of one user: each call chooses one, and an operation's id finds its own."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.conftest import SPEED
from tests.integration.driver import LONG_WAIT, MODERN, Driver, Message, eventually, serving_stdio
from tests.integration.http_driver import serving_http
from tests.integration.test_operations import content
from tests.maas_cli import write_profiles

REGIONS = ("lab", "prod")


class Regions:
    """Two regions with the same machines, and the profiles of a user in the MAAS CLI."""

    def __init__(self, home: Path, lab: SimulatedRegion, prod: SimulatedRegion, urls: list[str]) -> None:
        self.lab, self.prod = lab, prod
        profiles = {name: (url, region.api_key) for name, url, region in zip(REGIONS, urls, (lab, prod), strict=True)}
        write_profiles(home / ".maascli.db", profiles)
        self.variables: dict[str, Any] = {
            "HOME": str(home),
            "MAAS_MCP_STATE_DIR": str(home / "state"),
            "MAAS_MCP_PROFILES": ",".join(REGIONS),
        }


@pytest.fixture
def regions(tmp_path: Path) -> Iterator[Regions]:
    both = demo_region(speed=SPEED), demo_region(speed=SPEED)
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(each)) for each in both]
        yield Regions(tmp_path, *both, urls)


@pytest.fixture
def server(regions: Regions) -> Iterator[Driver]:
    with serving_stdio("", "", MODERN, **regions.variables) as driver:
        yield driver


def text_of(result: Message) -> str:
    return "\n".join(part["text"] for part in result["content"])


def posts(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


def start(server: Driver, region: SimulatedRegion, host: str, name: str | None = None) -> str:
    """Start a deployment in the region with this name, and return its operation id."""
    system_id = region.machine(host).system_id
    report = content(server.call("maas_deploy_machine", system_id=system_id, wait_seconds=0, region=name))
    operation_id: str = report["operation_id"]
    return operation_id


def test_machines_of_both_regions_are_deployed_and_followed_by_the_ids_of_their_operations(
    server: Driver, regions: Regions
) -> None:
    ids = [
        start(server, regions.lab, "node01"),
        start(server, regions.prod, "node02", "prod"),
    ]
    assert (posts(regions.lab), posts(regions.prod)) == (["deploy"], ["deploy"])
    assert content(server.call("maas_get_operation", operation_id=ids[1]))["state"] in {"working", "succeeded"}

    for operation_id, hostname in zip(ids, ("node01", "node02"), strict=True):
        report = content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG_WAIT))
        assert (report["state"], report["result"]["hostname"]) == ("succeeded", hostname)
    assert [regions.lab.machine(each).status_name for each in ("node01", "node02")] == ["Deployed", "Ready"]
    assert [regions.prod.machine(each).status_name for each in ("node01", "node02")] == ["Ready", "Deployed"]


def test_a_resource_of_an_operation_and_its_cancellation_find_the_region(server: Driver, regions: Regions) -> None:
    regions.prod.set_speed(0.0)
    operation_id = start(server, regions.prod, "node01", "prod")
    eventually(lambda: regions.prod.machine("node01").status_name == "Deploying", "the deployment")

    read = server.request("resources/read", {"uri": f"maas://operations/{operation_id}"})
    assert '"state":"working"' in read["contents"][0]["text"]
    aborted = content(server.call("maas_cancel_operation", operation_id=operation_id, abort=True))

    assert aborted["state"] != "working"
    assert (posts(regions.lab), posts(regions.prod)) == ([], ["deploy", "abort"])


def test_operations_are_listed_of_the_chosen_region(server: Driver, regions: Regions) -> None:
    regions.prod.set_speed(0.0)
    operation_id = start(server, regions.prod, "node01", "prod")
    eventually(lambda: regions.prod.machine("node01").status_name == "Deploying", "the deployment")

    listed = [content(server.call("maas_list_operations", **each)) for each in ({}, {"region": "prod"})]

    assert listed[0]["operations"] == []
    assert [each["operation_id"].rpartition(".")[0] for each in listed[1]["operations"]] != []
    found = listed[1]["operations"][0]["operation_id"]
    assert content(server.call("maas_get_operation", operation_id=found))["state"] == "working"
    assert operation_id.split(".")[:2] == found.split(".")[:2]


def test_every_tool_offers_the_regions_but_those_for_which_an_operation_chooses(server: Driver) -> None:
    tools = {each["name"]: each["inputSchema"]["properties"] for each in server.request("tools/list")["tools"]}

    without = {name for name, properties in tools.items() if "region" not in properties}
    assert without == {"maas_get_operation", "maas_wait_operation", "maas_cancel_operation"}
    offered = {"type": "string", "enum": ["lab", "prod"], "description": "MAAS region. Default: lab."}
    assert all(properties["region"] == offered for name, properties in tools.items() if name not in without)


def test_an_unknown_region_is_refused_with_the_names_of_all(server: Driver, regions: Regions) -> None:
    refused = server.call("maas_list_machines", region="staging")

    assert refused["isError"]
    assert "`region`: expected lab or prod." in text_of(refused)
    assert "staging" not in text_of(refused)
    assert regions.lab.requests.total == regions.prod.requests.total == 0


def test_the_next_steps_of_an_error_stay_in_its_region(server: Driver, regions: Regions) -> None:
    regions.prod.set_speed(0.0)
    start(server, regions.prod, "node01", "prod")
    machine = regions.prod.machine("node01")
    eventually(lambda: machine.status_name == "Deploying", "the deployment")

    content(server.call("maas_lock_machine", system_id=machine.system_id, region="prod"))

    failed = server.call("maas_release_machine", system_id=machine.system_id, region="prod")

    steps = failed["_meta"]["io.github.maas-mcp/error"]["next_steps"]
    assert steps
    assert all(each["arguments"]["region"] == "prod" for each in steps)


def test_resources_are_those_of_the_first_region(server: Driver, regions: Regions) -> None:
    machine = regions.lab.machine("node01")
    read = server.request("resources/read", {"uri": f"maas://machines/{machine.system_id}"})
    assert "node01" in read["contents"][0]["text"]
    assert regions.prod.requests.total == 0


def test_an_id_is_of_no_use_once_its_region_is_no_longer_chosen(regions: Regions) -> None:
    regions.prod.set_speed(0.0)
    with serving_stdio("", "", MODERN, **regions.variables) as both:
        operation_id = start(both, regions.prod, "node01", "prod")
    with serving_stdio("", "", MODERN, **{**regions.variables, "MAAS_MCP_PROFILES": "lab"}) as one:
        assert "region" not in one.request("tools/list")["tools"][0]["inputSchema"]["properties"]
        assert one.call("maas_get_operation", operation_id=operation_id)["isError"]


def test_over_http_without_authentication_the_regions_are_the_same(regions: Regions) -> None:
    with serving_http("", "", MODERN, **regions.variables) as server:
        operation_id = start(server, regions.prod, "node01", "prod")
        report = content(server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=LONG_WAIT))
    assert report["state"] == "succeeded"
    assert regions.lab.machine("node01").status_name == "Ready"
