"""Tests of the rescue mode plugin."""

import subprocess
import sys

import pytest
from acme_rescue.plugin import RescueMode

from maas_mcp.api import OperationFailedError, OperationRefusedError
from maas_mcp.testing import MaasRegion


def test_a_ready_machine_can_be_reached_in_rescue_mode(maas_region: MaasRegion) -> None:
    reached = maas_region.call(RescueMode, "node01")
    assert reached.ip_addresses
    assert maas_region.machine("node01").status_name == "Rescue mode"
    assert "Loading ephemeral" in maas_region.messages


def test_a_machine_that_is_being_deployed_is_not_touched(maas_region: MaasRegion) -> None:
    maas_region.deploy("node01", "bob")
    with pytest.raises(OperationRefusedError, match="Deploying"):
        maas_region.call(RescueMode, "node01")
    assert not [each for each in maas_region.requests if each.method == "POST"]


def test_a_machine_that_does_not_boot_is_a_failure(maas_region: MaasRegion) -> None:
    maas_region.plan("node01", fail="Performing PXE boot")
    with pytest.raises(OperationFailedError, match="Failed to enter rescue mode"):
        maas_region.call(RescueMode, "node01")


def test_a_client_gets_the_structured_result(maas_region: MaasRegion) -> None:
    result = maas_region.call_tool("rescue_boot_machine", system_id="7xneda")
    assert result.structured_content
    assert result.structured_content["state"] == "succeeded"
    assert result.structured_content["result"]["system_id"] == "7xneda"


def test_the_operation_works_from_the_command_line(maas_region: MaasRegion) -> None:
    command = [sys.executable, "-m", "maas_mcp", "call", "rescue_boot_machine", "system_id=7xneda"]
    subprocess.run(command, env=maas_region.environment, check=True, timeout=60)
    assert maas_region.machine("node01").status_name == "Rescue mode"
