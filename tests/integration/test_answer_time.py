"""A client that gives up after a minute has the operation's id before that, over stdio."""

import time
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, Status, demo_region, serving
from tests.integration.driver import MODERN, Driver, eventually, serving_stdio

LIMIT = 5
"""Seconds: longer than the reads before a start take on a busy machine."""
EACH = 3.0
"""Seconds that MAAS takes to allocate a machine."""
COUNT = 4
"""Machines in a batch: their allocation takes longer than :data:`LIMIT`."""


@pytest.mark.parametrize("revision", ["2024-11-05", MODERN])
def test_a_call_without_a_token_answers_with_its_operation_id(still_region: SimulatedRegion, revision: str) -> None:
    machine = still_region.machine("node01")
    with (
        serving(still_region) as url,
        serving_stdio(url, still_region.api_key, revision, MAAS_MCP_ANSWER_WITHIN=str(LIMIT)) as client,
    ):
        started = time.monotonic()
        text = client.call("maas_deploy_machine", system_id=machine.system_id)["content"][0]["text"]
        operation_id = text.rpartition("operation_id ")[2].rstrip(".")
        waited = client.call("maas_wait_operation", operation_id=operation_id, wait_seconds=3600)
        took = time.monotonic() - started

        assert "Wait for it: maas_wait_operation" in text
        assert waited["content"][0]["text"].startswith("working: ")
        assert 2 * LIMIT <= took <= 2 * LIMIT + 2 * client.prompt


def operation_id_of(answer: Any) -> str:
    return str(answer["structuredContent"]["operation_id"])


def get(client: Driver, operation_id: str) -> Any:
    return client.call("maas_get_operation", operation_id=operation_id)["structuredContent"]


def allocated_for_batches(region: SimulatedRegion) -> int:
    """The machines that are allocated now, of those that a batch allocated."""
    with region.lock:
        taken = {each.system_id for each in region.log.events if each.type == "User acquiring node"}
        return len([each for each in taken if region.machines[each].status is Status.ALLOCATED])


def test_a_batch_is_allocated_and_deployed_after_its_call_has_answered() -> None:
    region = demo_region(speed=100.0)
    region.hold(op="allocate", before=EACH)
    with (
        serving(region) as url,
        serving_stdio(url, region.api_key, MAAS_MCP_ANSWER_WITHIN=str(LIMIT)) as client,
    ):
        started = time.monotonic()
        answer = client.call("maas_deploy_machines", count=COUNT)
        took = time.monotonic() - started
        operation_id = operation_id_of(answer)
        shown = get(client, operation_id)
        waited = client.start_call("maas_wait_operation", "waiting", operation_id=operation_id, wait_seconds=3600)
        client.wait_for_progress("Allocating machine ")
        client.wait(waited)
        eventually(lambda: get(client, operation_id)["state"] == "succeeded", "the end")

        assert answer["content"][0]["text"].startswith("Allocating machine ")
        assert took <= LIMIT + client.prompt
        assert (shown["state"], shown["message"].rpartition(" of ")[2]) == ("working", str(COUNT))
        assert len([each for each in region.requests if each.op == "allocate"]) == COUNT


@pytest.mark.parametrize("how", ["EOF", "SIGTERM"])
def test_a_server_that_stops_during_an_allocation_releases_the_machines(how: str) -> None:
    region = demo_region(speed=0.0)
    region.hold(op="allocate", before=EACH)
    with (
        serving(region) as url,
        serving_stdio(url, region.api_key, MAAS_MCP_ANSWER_WITHIN=str(LIMIT)) as client,
    ):
        client.call("maas_deploy_machines", count=COUNT)
        eventually(lambda: allocated_for_batches(region), "an allocation")

        code, seconds = client.stop(how)

        assert (code, seconds <= client.prompt) == (0, True)
        # MAAS may still carry out the allocation that it had received.
        assert allocated_for_batches(region) <= 1


def test_after_a_crash_the_id_finds_the_allocated_machines_and_releases_them() -> None:
    region = demo_region(speed=0.0)
    region.hold(op="allocate", after=EACH)
    with serving(region) as url:
        with serving_stdio(url, region.api_key, MAAS_MCP_ANSWER_WITHIN=str(LIMIT)) as client:
            operation_id = operation_id_of(client.call("maas_deploy_machines", count=COUNT))
            client.process.kill()
            client.process.wait()
        left = f"{allocated_for_batches(region)} of {COUNT} machines are allocated, and none of them is started"
        with serving_stdio(url, region.api_key) as client:
            shown = get(client, operation_id)
            listed = client.call("maas_list_operations")["structuredContent"]["operations"]
            cancelled = client.call("maas_cancel_operation", operation_id=operation_id, abort=True)

            assert not left.startswith("0")
            assert shown["state"] == "working"
            assert shown["message"].startswith(left)
            assert [each["message"] for each in listed] == [left]
            assert cancelled["structuredContent"]["state"] == "reverted"
            assert allocated_for_batches(region) == 0
