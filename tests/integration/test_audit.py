"""The audit of real servers: over both transports, with a full disk, and after SIGKILL."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maas_mcp.audit.file import AuditFile, head_file
from maas_simulator import SimulatedRegion, serving
from tests.integration.driver import Driver, Message, command, environment, eventually, serving_stdio
from tests.integration.replicas import SECRET
from tests.integration.server_process import run_to_end
from tests.integration.team import Team
from tests.integration.test_http_access import call, posts, status_of
from tests.integration.transports import Serve, starter

TASKS: Message = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit.jsonl"


@pytest.fixture(params=["stdio", "http"])
def serve(request: pytest.FixtureRequest, region: SimulatedRegion, tmp_path: Path) -> Iterator[Serve]:
    with serving(region) as url:
        yield starter(request.param, region, url, tmp_path, {})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def events(path: Path) -> list[tuple[str, str, str | None]]:
    return [(each["event"], each["tool"], each.get("outcome")) for each in lines(path)]


def verify(*arguments: Path | str) -> str:
    """Run ``maas-mcp audit verify``. Returns what it prints for an intact audit."""
    done = run_to_end(command("audit", "verify", *map(str, arguments)), environment("http://127.0.0.1:1", "a:b:c"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def deploy(server: Driver, region: SimulatedRegion, machine: str = "node01", **arguments: Any) -> Message:
    return server.call("maas_deploy_machine", system_id=region.machine(machine).system_id, **arguments)


def test_each_change_is_recorded_over_both_transports(serve: Serve, region: SimulatedRegion, path: Path) -> None:
    with serve() as server:
        server.call("maas_list_machines")
        operation_id = deploy(server, region, wait_seconds=0)["structuredContent"]["operation_id"]
        server.call("maas_wait_operation", operation_id=operation_id, wait_seconds=50)
        server.call("maas_lock_machine", system_id=region.machine("node01").system_id)
    assert events(path) == [
        ("admitted", "maas_deploy_machine", None),
        ("ended", "maas_deploy_machine", "running"),
        ("admitted", "maas_lock_machine", None),
        ("ended", "maas_lock_machine", "succeeded"),
    ]
    found = lines(path)
    assert {each["client"] for each in found} == {"driver"}
    assert found[1]["operation_id"] == operation_id
    assert [each["op"] for each in found[1]["requests"]] == ["deploy"]
    assert "Intact: 4 lines" in verify(path)


def test_a_batch_is_one_call_with_the_requests_of_all_machines(
    serve: Serve, region: SimulatedRegion, path: Path
) -> None:
    machines = [region.machine(name).system_id for name in ("node01", "node02", "node03")]
    with serve() as server:
        server.call("maas_deploy_machines", system_ids=machines)
    assert events(path) == [
        ("admitted", "maas_deploy_machines", None),
        ("ended", "maas_deploy_machines", "succeeded"),
    ]
    deployed = [each["path"] for each in lines(path)[1]["requests"] if each["op"] == "deploy"]
    assert sorted(deployed) == sorted(f"machines/{each}/" for each in machines)


def test_a_task_is_recorded_and_so_is_its_cancellation(serve: Serve, region: SimulatedRegion, path: Path) -> None:
    with serve(capabilities=TASKS) as server:
        task = deploy(server, region, on_cancel="abort")
        assert task["resultType"] == "task"
        server.request("tasks/cancel", {"taskId": task["taskId"]})
    assert events(path) == [
        ("admitted", "maas_deploy_machine", None),
        ("ended", "maas_deploy_machine", "running"),
        ("admitted", "maas_cancel_operation", None),
        ("ended", "maas_cancel_operation", "succeeded"),
    ]
    assert [each["op"] for each in lines(path)[3]["requests"]] == ["abort"]


def test_the_command_line_is_recorded_as_a_client(region: SimulatedRegion, url: str, path: Path) -> None:
    region.deploy("node01", "admin")
    done = run_to_end(
        command("call", "maas_lock_machine", f"system_id={region.machine('node01').system_id}"),
        environment(url, region.api_key, MAAS_MCP_AUDIT=str(path)),
    )
    assert done.returncode == 0, done.stderr
    assert [each["client"] for each in lines(path)] == ["maas-mcp", "maas-mcp"]


def test_a_refused_scope_is_recorded_for_its_principal(
    region: SimulatedRegion, url: str, path: Path, tmp_path: Path
) -> None:
    team = Team(region, url, tmp_path)
    team.variables["MAAS_MCP_AUDIT"] = str(path)
    token = team.token("new", "bob", "--scopes", "maas:read")
    machine = region.machine("node01").system_id
    with team.serving(token) as bob:
        for _ in range(2):
            assert status_of(bob, call("maas_release_machine", system_id=machine))[0] == 403
    refused = lines(path)
    assert [(each["event"], each["principal"], each["rule"]) for each in refused] == [
        ("refused", "bob", "insufficient_scope")
    ] * 2
    assert refused[0]["arguments"] == {"system_id": machine}


def test_three_servers_write_one_chain_while_it_is_rotated(
    region: SimulatedRegion, url: str, path: Path, tmp_path: Path
) -> None:
    def server() -> Any:
        return serving_stdio(url, region.api_key, MAAS_MCP_AUDIT=str(path), MAAS_MCP_SECRET=SECRET)

    system_id = region.machine("node01").system_id
    with server() as one, server() as two, server() as three:
        for number in range(4):
            tool = "maas_lock_machine" if number % 2 == 0 else "maas_unlock_machine"
            calls = [(each, each.start_call(tool, system_id=system_id)) for each in (one, two, three)]
            for each, request_id in calls:
                each.wait(request_id)
            if number == 1:
                path.rename(tmp_path / "audit.jsonl.1")
    assert "Intact: 24 lines, from number 1 to 24" in verify(path, tmp_path / "audit.jsonl.1")


def test_a_full_disk_refuses_changes_and_reads_go_on(region: SimulatedRegion, url: str, path: Path) -> None:
    full = AuditFile(path)
    for number in range(20):
        full.append({"event": "refused", "call": str(number)})
    before = path.read_bytes()
    limited = ["sh", "-c", 'ulimit -f 4; exec "$0" "$@"', *command()]  # 2 or 4 KiB
    with serving_stdio(url, region.api_key, program=limited, MAAS_MCP_AUDIT=str(path)) as server:
        refused = deploy(server, region)
        machines = server.call("maas_list_machines")
    assert refused["isError"]
    assert "audit_unavailable" in json.dumps(refused)
    assert f"The audit in {path} cannot be written: File too large." in refused["content"][0]["text"]
    assert "nothing was sent to MAAS" in refused["content"][0]["text"]
    assert not machines.get("isError")
    assert posts(region) == []
    assert path.read_bytes() == before


def test_after_sigkill_the_change_that_was_sent_is_in_the_audit(region: SimulatedRegion, url: str, path: Path) -> None:
    region.hold(op="deploy", after=60.0)
    with serving_stdio(url, region.api_key, MAAS_MCP_AUDIT=str(path)) as server:
        server.start_call("maas_deploy_machine", system_id=region.machine("node01").system_id)
        eventually(lambda: posts(region), "the start request")
        server.process.kill()
        server.process.wait()
    (line,) = lines(path)
    assert (line["event"], line["arguments"]["system_id"]) == ("admitted", region.machine("node01").system_id)
    assert "Calls without an outcome, because they are running or their server was killed: 1." in verify(path)
    path.write_bytes(path.read_bytes() + b'{"seq":2,"prev":"')  # as if it were killed while it wrote
    head = head_file(path).read_text()
    with serving_stdio(url, region.api_key, MAAS_MCP_AUDIT=str(path)) as server:
        server.call("maas_lock_machine", system_id=region.machine("node02").system_id)
    assert "Incomplete lines of killed servers" in verify(path, "--head", head)
