"""Tasks and scopes: a token needs the scope of an operation to answer its questions, and that of a cancel to end it."""

from pathlib import Path

import pytest

from maas_simulator import SimulatedRegion
from tests.integration.driver import MODERN, Message, eventually
from tests.integration.http_driver import HttpDriver
from tests.integration.team import Team
from tests.integration.test_http_access import status_of
from tests.integration.test_plugins import install_plugin

INVALID_PARAMS = -32602
CAPABILITIES: Message = {"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}}

ASKING = """
from maas_mcp.api import Lifecycle, MachineStatus as S, Operation, SystemId

class Which(BaseModel):
    system_id: SystemId

class Yes(BaseModel):
    yes: bool

class Wipe(Operation[Which, Nothing]):
    "Deploy a machine, after a question in the task."
    name = "acme_wipe"
    destructive = True
    asks_in_task = True
    lifecycle = Lifecycle(
        start_from={S.READY}, pending={S.DEPLOYING}, success={S.DEPLOYED}, failure={S.FAILED_DEPLOYMENT}
    )

    async def fill_in(self, ctx, args):
        await ctx.ask("Really?", Yes, key="sure")
        return args

    async def start(self, ctx, args):
        await ctx.maas.post_op(f"machines/{args.system_id}/", "deploy")

    async def result(self, ctx):
        return Nothing()

@hookimpl
def maas_mcp_operations():
    return [Wipe]
"""


def posts(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


def about(task: Message, method: str) -> Message:
    """A request about a task, with a yes to each of its questions."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "driver", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": CAPABILITIES,
    }
    yes = {"action": "accept", "content": {"yes": True}}
    answers = dict.fromkeys(task.get("inputRequests", {}), yes)
    return {
        "id": 70,
        "method": method,
        "params": {"taskId": task["taskId"], "inputResponses": answers, "_meta": meta},
    }


def waiting_task(bob: HttpDriver, region: SimulatedRegion) -> Message:
    """Start an operation that asks in its task. Returns the task with the question."""
    bob.capabilities = CAPABILITIES
    task_id = bob.call("acme_wipe", system_id=region.machine("node01").system_id)["taskId"]

    def asked() -> Message | None:
        seen = bob.request("tasks/get", {"taskId": task_id})
        return seen if seen["status"] == "input_required" else None

    task: Message = eventually(asked, "the question")
    return task


@pytest.fixture
def team(region: SimulatedRegion, url: str, tmp_path: Path) -> Team:
    team = Team(region, url, tmp_path)
    team.variables["PYTHONPATH"] = install_plugin(tmp_path, ASKING)
    return team


@pytest.mark.parametrize("method", ["tasks/cancel", "tasks/update"])
def test_a_task_is_changed_only_with_the_scope_and_the_missing_one_is_named_at_once(team: Team, method: str) -> None:
    with team.serving(team.token("new", "bob", "--scopes", "maas:destroy")) as bob:
        task = waiting_task(bob, team.region)
        team.token("revoke", "bob")
        weaker = team.client(bob, team.token("new", "bob", "--scopes", "maas:read"))
        weaker.capabilities = CAPABILITIES
        assert weaker.request("tasks/get", {"taskId": task["taskId"]})["status"] == "input_required"

        status, challenge, _ = status_of(weaker, about(task, method))

        assert (status, challenge) == (403, 'Bearer error="insufficient_scope", scope="maas:operate"')
        assert weaker.request("tasks/get", {"taskId": task["taskId"]})["status"] == "input_required"
    assert posts(team.region) == []


def test_an_id_that_names_a_harmless_operation_does_not_avoid_the_scope(team: Team) -> None:
    with team.serving(team.token("new", "bob", "--scopes", "maas:destroy")) as bob:
        task = waiting_task(bob, team.region)
        team.token("revoke", "bob")
        weaker = team.client(bob, team.token("new", "bob", "--scopes", "maas:operate"))
        for name in ("maas_power_on", "maas_get_operation", "no_such_tool", ""):
            renamed = {**task, "taskId": f"{name}.{task['taskId'].partition('.')[2]}"}
            status, _, text = status_of(weaker, about(renamed, "tasks/update"))
            assert status in {200, 400}
            assert str(INVALID_PARAMS) in text
    assert posts(team.region) == []


def test_with_the_scope_the_answer_starts_the_operation(team: Team) -> None:
    with team.serving(team.token("new", "bob", "--scopes", "maas:destroy")) as bob:
        task = waiting_task(bob, team.region)
        assert status_of(bob, about(task, "tasks/update"))[0] == 200
        eventually(lambda: posts(team.region) == ["deploy"], "the start")
