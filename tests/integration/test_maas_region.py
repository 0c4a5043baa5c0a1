"""The fixture ``maas_region`` and other processes."""

import subprocess
import sys

from maas_mcp.testing import MaasRegion
from tests.integration.driver import TIMEOUT


def test_another_process_reaches_it_over_http(maas_region: MaasRegion) -> None:
    command = [sys.executable, "-m", "maas_mcp", "doctor"]
    done = subprocess.run(
        command, env=maas_region.environment, text=True, capture_output=True, timeout=TIMEOUT, check=False
    )
    assert "Version: MAAS 3.7.3" in done.stdout, done.stdout
    assert "API key: admin" in done.stdout, "and so it was accepted"
    assert maas_region.requests
