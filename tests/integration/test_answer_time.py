"""A client that gives up after a minute has the operation's id before that, over stdio."""

import time

import pytest

from maas_simulator import SimulatedRegion, serving
from tests.integration.driver import MODERN, serving_stdio

LIMIT = 5
"""Seconds: longer than the reads before a start take on a busy machine."""


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
