"""What the commands print about hostile machines: nothing that acts on the terminal, in text and in JSON."""

import json
from collections.abc import Iterator

import pytest

from maas_simulator import Fault, SimulatedRegion, demo_region, serving
from tests.hostile import CANARY, ORDER, check_visible, make_hostile
from tests.integration.test_cli import run_command, settings_of

READY = "system_id=7xneda"


@pytest.fixture
def region() -> SimulatedRegion:
    region = demo_region(speed=400.0)
    make_hostile(region)
    return region


@pytest.fixture
def variables(region: SimulatedRegion) -> Iterator[dict[str, str]]:
    with serving(region) as url:
        yield settings_of(region, url)


@pytest.mark.parametrize(
    "arguments",
    [
        ("maas_list_machines",),
        ("maas_get_machine", READY),
        ("maas_list_objects", "kind=image"),
        ("maas_test_machine", READY),
    ],
)
def test_the_text_and_the_json_of_a_result_are_visible(variables: dict[str, str], arguments: tuple[str, ...]) -> None:
    shown = run_command("call", *arguments, **variables)
    as_json = run_command("call", "--json", *arguments, **variables)

    assert (shown.returncode, as_json.returncode) == (0, 0)
    for text in (shown.stdout, shown.stderr, as_json.stdout, as_json.stderr):
        check_visible(text)
    assert ORDER in as_json.stdout
    assert json.loads(as_json.stdout)


def test_an_error_and_the_log_of_the_server_are_visible(region: SimulatedRegion, variables: dict[str, str]) -> None:
    region.plan("7xneda", fail="Installing OS", reason=CANARY)
    failed = run_command("call", "maas_deploy_machine", READY, MAAS_MCP_LOG_LEVEL="DEBUG", **variables)
    region.faults.append(Fault(method="GET", status=400, body=CANARY, times=None))
    refused = run_command("call", "maas_list_machines", MAAS_MCP_LOG_LEVEL="DEBUG", **variables)
    checked = run_command("doctor", **variables)

    for done in (failed, refused, checked):
        assert done.returncode == 1
        assert ORDER in done.stdout + done.stderr
        check_visible(done.stdout)
        check_visible(done.stderr)
        assert not any(line.startswith(ORDER) for line in (done.stdout + done.stderr).splitlines())
