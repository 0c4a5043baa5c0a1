"""Replicas behind a load balancer without sticky routing: they share a secret, and nothing else."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.conftest import SPEED
from tests.integration.driver import (
    Message,
    advance_and_await,
    check_requests_stop,
    command,
    environment,
)
from tests.integration.http_driver import HttpDriver
from tests.integration.replicas import Replicas, serving_replicas
from tests.integration.server_process import run_to_end

LEGACY = "2025-11-25"
NO_SESSIONS = {"MAAS_MCP_HTTP_STATELESS": "true"}


def posts(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


def report(result: Message) -> Message:
    assert not result.get("isError"), result
    structured: Message = result["structuredContent"]
    return structured


@pytest.fixture(scope="module")
def shared_region() -> SimulatedRegion:
    """A region with a stopped clock for all tests that kill no replica. Each test has a machine of its own."""
    return demo_region(speed=0.0)


@pytest.fixture(scope="module")
def replicas(shared_region: SimulatedRegion) -> Iterator[Replicas]:
    with serving(shared_region) as url, serving_replicas(url, shared_region.api_key, **NO_SESSIONS) as running:
        yield running


def operation_on(client: HttpDriver, system_id: str) -> str:
    """The id of the operation on a machine, as ``maas_list_operations`` shows it. The id contains the machine's."""
    ids = [each["operation_id"] for each in report(client.call("maas_list_operations"))["operations"]]
    (found,) = [each for each in ids if f".{system_id}." in each]
    return str(found)


def new_token(name: str, files: dict[str, str]) -> dict[str, str]:
    """Create a token for a principal. Returns the headers of its requests."""
    done = run_to_end(
        command("token", "new", name, "--scopes", "maas:destroy"),
        environment("http://127.0.0.1:9/MAAS", "not:the:key", **files),
    )
    assert done.returncode == 0, done.stderr
    return {"Authorization": f"Bearer {done.stdout.strip()}"}


class TestTheNewestRevision:
    def test_each_request_may_go_to_another_replica(self, replicas: Replicas, shared_region: SimulatedRegion) -> None:
        client, machine = replicas.client(), shared_region.machine("node01")
        seen = len(replicas.balancer.served)

        started = report(client.call("maas_deploy_machine", system_id=machine.system_id, wait_seconds=0))
        states = [
            report(client.call("maas_get_operation", operation_id=started["operation_id"]))["state"] for _ in range(3)
        ]
        client.call("maas_cancel_operation", operation_id=started["operation_id"], abort=True)

        used = replicas.balancer.served[seen:]
        assert all(first != second for first, second in pairwise(used)), used
        assert states == ["working"] * 3
        assert machine.status_name == "Allocated"

    def test_a_second_call_on_another_replica_starts_nothing_and_gets_an_operation_id(
        self, replicas: Replicas, shared_region: SimulatedRegion
    ) -> None:
        client, machine = replicas.client(), shared_region.machine("node02")
        client.start_call("maas_deploy_machine", 1, system_id=machine.system_id)
        client.wait_for_progress("Deploying")
        before = len(posts(shared_region))

        again = [report(client.call("maas_deploy_machine", system_id=machine.system_id)) for _ in replicas.servers]

        assert len(posts(shared_region)) == before
        assert {each["state"] for each in again} == {"working"}
        for each in again:
            assert report(client.call("maas_get_operation", operation_id=each["operation_id"]))["state"] == "working"

    def test_a_killed_replica_loses_nothing(self) -> None:
        region = demo_region(speed=0.0)
        with serving(region) as url, serving_replicas(url, region.api_key) as replicas:
            client, machine = replicas.client(), region.machine("node01")
            call = client.start_call("maas_deploy_machine", 1, system_id=machine.system_id)
            advance_and_await(client, region, "node01", "Deploying", "Performing PXE boot")
            follower = replicas.balancer.served[-1]

            replicas.kill(follower)

            assert "error" in client.wait(call), "the client learns that its stream is gone"
            operation = operation_on(client, machine.system_id)
            waiting = client.start_call("maas_wait_operation", 2, operation_id=operation, wait_seconds=50)
            client.wait_for_progress("Performing PXE boot")
            region.set_speed(SPEED)
            ended = report(client.wait(waiting)["result"])

            assert (ended["state"], ended["result"]["status_name"]) == ("succeeded", "Deployed")
            assert follower not in replicas.balancer.served[-2:]
            assert posts(region) == ["deploy"]

    def test_an_operation_id_works_on_a_replica_that_started_later(self) -> None:
        region = demo_region(speed=0.0)
        machine = region.machine("node01")
        with serving(region) as url:
            with serving_replicas(url, region.api_key, 1) as old:
                deploying = old.client().call("maas_deploy_machine", system_id=machine.system_id, wait_seconds=0)
                operation = report(deploying)["operation_id"]
                old.kill(0)
            with serving_replicas(url, region.api_key, 1) as new:
                assert report(new.client().call("maas_get_operation", operation_id=operation))["state"] == "working"


class TestPrincipals:
    def test_an_operation_id_is_its_principals_on_every_replica(self, tmp_path: Path) -> None:
        region = demo_region(speed=0.0)
        tokens, keys = tmp_path / "tokens.toml", tmp_path / "keys.toml"
        keys.touch(mode=0o600)
        keys.write_text("".join(f'{name} = "{region.api_key_of("admin")}"\n' for name in ("alice", "bob")))
        files = {"MAAS_MCP_HTTP_TOKENS": str(tokens), "MAAS_MCP_HTTP_KEYS": str(keys)}
        issued = {name: new_token(name, files) for name in ("alice", "bob")}
        with serving(region) as url, serving_replicas(url, "not:the:key", 3, issued["alice"], **files) as replicas:
            alice, bob = (replicas.client(headers=headers) for headers in issued.values())
            machine = region.machine("node01")
            deploying = alice.call("maas_deploy_machine", system_id=machine.system_id, wait_seconds=0)
            operation = report(deploying)["operation_id"]

            for _ in replicas.servers:
                assert report(alice.call("maas_get_operation", operation_id=operation))["state"] == "working"
                refused = bob.call("maas_get_operation", operation_id=operation)
                assert refused["isError"] is True
                assert "working" not in refused["content"][0]["text"]


class TestOlderRevisions:
    """A session is in the memory of one replica: route its requests there, or serve without sessions."""

    def test_with_sticky_routing_a_session_works(self) -> None:
        region = demo_region(speed=0.0)
        with serving(region) as url, serving_replicas(url, region.api_key, 2) as replicas:
            replicas.balancer.sticks_to = 1
            client = replicas.client(LEGACY)
            assert client.session is not None
            assert client.request("tools/list")["tools"]

            # The other replica does not know the session. 404 makes the client open a new one.
            replicas.balancer.sticks_to = 0
            connection, response = client.post({"id": 90, "method": "tools/list", "params": {}})
            assert (response.status, b"Session not found" in response.read()) == (404, True)
            connection.close()
            client.session = None
            client.handshake()
            assert client.request("tools/list")["tools"]

    def test_without_sessions_a_deploy_shows_its_progress_through_any_replica(
        self, replicas: Replicas, shared_region: SimulatedRegion
    ) -> None:
        client, machine = replicas.client(LEGACY), shared_region.machine("node03")
        assert client.session is None
        call = client.start_call("maas_deploy_machine", 1, system_id=machine.system_id)
        advance_and_await(client, shared_region, "node03", "Deploying", "Performing PXE boot")
        operation = operation_on(client, machine.system_id)
        client.call("maas_cancel_operation", operation_id=operation, abort=True)

        assert client.wait(call)["result"]["isError"] is True
        assert machine.status_name == "Allocated"

    def test_without_sessions_a_notification_cancels_nothing(
        self, replicas: Replicas, shared_region: SimulatedRegion
    ) -> None:
        client, machine = replicas.client(LEGACY), shared_region.machine("node04")
        call = client.start_call("maas_deploy_machine", 1, system_id=machine.system_id, on_cancel="abort")
        client.wait_for_progress("Deploying")

        for _ in replicas.servers:  # wherever the call runs
            client.send({"method": "notifications/cancelled", "params": {"requestId": call}})
        advance_and_await(client, shared_region, "node04", "Performing PXE boot")

        assert client.response(call) is None
        assert machine.status_name == "Deploying"

    def test_without_sessions_a_closed_stream_ends_the_call_and_aborts_nothing(self) -> None:
        region = demo_region(speed=0.0)
        with serving(region) as url, serving_replicas(url, region.api_key, 1, **NO_SESSIONS) as replicas:
            client, machine = replicas.client(LEGACY), region.machine("node01")
            call = client.start_call("maas_deploy_machine", 1, system_id=machine.system_id, on_cancel="abort")
            client.wait_for_progress("Deploying")

            client.close_stream(call)

            check_requests_stop(region)
            assert posts(region) == ["deploy"]
            assert machine.status_name == "Deploying"

    def test_without_sessions_a_made_up_session_id_is_ignored(self, replicas: Replicas) -> None:
        client = replicas.client(LEGACY)
        for number in range(3):
            client.session = f"made-up-{number}"
            assert client.request("tools/list")["tools"]
