"""Failures are reported and change nothing else, for clients of three protocol revisions.

So all tests of a revision share a server. The one test that changes a machine has its own machine.
"""

from collections.abc import Iterator

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.conftest import SPEED
from tests.integration.driver import ERAS, Driver, Message, serving_stdio


def error_text(result: Message) -> str:
    assert result["isError"] is True, result
    text: str = result["content"][0]["text"]
    return text


def posts(region: SimulatedRegion) -> list[str]:
    return [f"{each.op} {each.path}" for each in region.requests if each.method == "POST"]


@pytest.fixture(scope="module", params=ERAS)
def revision(request: pytest.FixtureRequest) -> str:
    revision: str = request.param
    return revision


@pytest.fixture(scope="module")
def shared_region(revision: str) -> SimulatedRegion:  # noqa: ARG001 - each revision has its own
    return demo_region(speed=SPEED)


@pytest.fixture(scope="module")
def url(shared_region: SimulatedRegion) -> Iterator[str]:
    with serving(shared_region) as url:
        yield url


@pytest.fixture(scope="module")
def server(shared_region: SimulatedRegion, url: str, revision: str) -> Iterator[Driver]:
    with serving_stdio(url, shared_region.api_key, revision) as driver:
        yield driver


@pytest.fixture
def region(shared_region: SimulatedRegion) -> SimulatedRegion:
    """The region, without the requests of earlier tests."""
    shared_region.requests.clear()
    return shared_region


def test_a_failed_deploy_says_why(server: Driver, region: SimulatedRegion) -> None:
    region.plan("node03", fail="Installing OS", reason="the disk is on fire")
    text = error_text(server.call("maas_deploy_machine", system_id=region.machine("node03").system_id))

    assert "node03" in text
    assert "Failed deployment" in text
    assert "the disk is on fire" in text
    assert 'Output of script "/tmp/install.log" on the machine, Failed' in text
    assert "Release it" in text


def test_a_machine_that_does_not_exist(server: Driver, region: SimulatedRegion) -> None:
    text = error_text(server.call("maas_deploy_machine", system_id="zzzzzz"))

    assert "zzzzzz" in text
    assert "No Machine matches the given query." in text
    assert posts(region) == []


def test_a_machine_in_the_wrong_status(server: Driver, region: SimulatedRegion) -> None:
    text = error_text(server.call("maas_deploy_machine", system_id=region.machine("node07").system_id))

    assert "is Deployed" in text
    assert "starts only from: Ready, Allocated" in text
    assert posts(region) == []


def test_a_locked_machine(server: Driver, region: SimulatedRegion) -> None:
    text = error_text(server.call("maas_release_machine", system_id=region.machine("node08").system_id))

    assert "is locked" in text
    assert posts(region) == []


def test_a_bad_series_is_refused_in_mass_words(server: Driver, region: SimulatedRegion) -> None:
    system_id = region.machine("node01").system_id
    text = error_text(server.call("maas_deploy_machine", system_id=system_id, distro_series="nosuch"))

    assert "'nosuch' is not a valid distro_series.  It should be one of:" in text
    assert region.machine("node01").status_name == "Ready"


def test_an_unknown_tool_is_a_protocol_error(server: Driver) -> None:
    response = server.wait(server.start_call("maas_explode"))

    assert response["error"]["code"] == -32602
    assert "maas_explode" in response["error"]["message"]


def test_a_wrong_key(url: str, revision: str) -> None:
    with serving_stdio(url, "consumer:token:wr0ng", revision) as server:
        text = error_text(server.call("maas_list_machines"))

    assert "API key" in text
    assert "wr0ng" not in text


def test_a_region_that_is_not_there(revision: str) -> None:
    with serving_stdio("http://127.0.0.1:9/MAAS", "consumer:token:secret", revision) as server:
        text = error_text(server.call("maas_list_machines"))

    assert "127.0.0.1" in text
    assert "refused" in text
