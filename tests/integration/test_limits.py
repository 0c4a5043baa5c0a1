"""The policy's limits over three replicas that count in one file."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from maas_simulator import demo_region, serving
from tests.integration.driver import Message
from tests.integration.replicas import serving_replicas

ALLOWED = 2
NO_SESSIONS = {"MAAS_MCP_HTTP_STATELESS": "true"}


def test_replicas_with_one_usage_file_start_no_more_than_the_limit_allows(tmp_path: Path) -> None:
    region = demo_region(speed=0.0)
    ready = [each.system_id for each in region.machines.values() if each.status_name == "Ready"]
    policy = {"limits": {"deploy": {"per_hour": ALLOWED}}, "usage_file": str(tmp_path / "usage.db")}
    with (
        serving(region) as url,
        serving_replicas(url, region.api_key, MAAS_MCP_POLICY=json.dumps(policy), **NO_SESSIONS) as replicas,
        ThreadPoolExecutor(len(ready)) as pool,
    ):

        def deploy(system_id: str) -> Message:
            return replicas.client().call("maas_deploy_machine", system_id=system_id, wait_seconds=0)

        results = list(pool.map(deploy, ready))
        used = set(replicas.balancer.served)

    refused = [each for each in results if each.get("isError")]
    assert len(ready) > ALLOWED
    assert used == {0, 1, 2}
    assert sum(each.op == "deploy" for each in region.requests) == ALLOWED
    assert len(refused) == len(ready) - ALLOWED
    assert all("in the last hour" in each["content"][0]["text"] for each in refused)
