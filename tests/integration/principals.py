"""Two principals of one server over HTTP, and what the first one has that the second one must not reach."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.driver import Message, advance_to, eventually
from tests.integration.http_driver import HttpDriver
from tests.integration.team import Team
from tests.integration.test_plugins import install_plugin

LEGACY = "2025-11-25"
CAPABILITIES: Message = {"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}}
OWNERS = {"own keys": ("admin", "bob"), "the same key": ("admin", "admin")}
"""The MAAS users of the two principals."""

STATE = """
from contextlib import asynccontextmanager
from itertools import count
from maas_mcp.api import Completion, Prompt, Resource

@asynccontextmanager
async def numbers(settings):
    yield count(1)

@asynccontextmanager
async def number(ctx):
    yield f"state-{next(ctx.process)}"

class Show(Tool[Nothing, How]):
    "Show the caller's state."
    name = "acme_show"
    read_only = True

    async def run(self, ctx, args):
        return How(how=ctx.state)

class State(Resource):
    "The caller's state."
    uri = "acme://state"
    name = "state"

    async def read(self, ctx) -> str:
        return ctx.state

class States(Completion):
    "The caller's state."
    arguments = ("state",)

    async def choices(self, ctx):
        return [ctx.state]

class Who(Prompt[Nothing]):
    "Name the caller."
    name = "acme-who"

    async def messages(self, ctx, args):
        return [(await ctx.maas.get_op("users/", "whoami"))["username"]]

@hookimpl
def maas_mcp_tools():
    return [Show]

@hookimpl
def maas_mcp_resources():
    return [State]

@hookimpl
def maas_mcp_completions():
    return [States]

@hookimpl
def maas_mcp_prompts():
    return [Who]

@hookimpl
def maas_mcp_process_lifespan():
    return numbers

@hookimpl
def maas_mcp_lifespan():
    return number
"""
"""A plugin whose state shows for which principal it was made."""


@dataclass
class House:
    """A server, two principals, and the first one's operation, task and question."""

    region: SimulatedRegion
    users: tuple[str, str]
    """Their users of MAAS."""
    alice: HttpDriver
    bob: HttpDriver
    early_alice: HttpDriver
    early_bob: HttpDriver
    """The same principals with sessions, as clients before 2026-07-28."""
    operation_id: str
    """Alice's deployment of node01."""
    task_id: str
    """Alice's deployment of node02."""
    question: Message
    """Alice's unanswered question about node03, with the sealed state of her call."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no response to Bob may contain."""
        return self.operation_id, self.task_id, self.question["requestState"]

    @property
    def erasing(self) -> Message:
        """The parameters of the call that asks Alice."""
        return erasing(self.region)


def erasing(region: SimulatedRegion) -> Message:
    arguments = {"system_id": region.machine("node03").system_id, "erase": True}
    return {"name": "maas_release_machine", "arguments": arguments}


@contextmanager
def sharing_a_server(folder: Path, owners: tuple[str, str]) -> Iterator[House]:
    """Serve two principals, whose keys belong to these users of MAAS. The clock stands."""
    region = demo_region(speed=0.0)
    region.deploy("node03", "admin")
    advance_to(region, "node03", "Deployed")
    with serving(region) as url, ExitStack() as stack:
        team = Team(region, url, folder)
        team.variables["MAAS_MCP_POLICY"] = "{}"  # asks before it erases
        team.variables["PYTHONPATH"] = install_plugin(folder, STATE)
        names = ("alice", "bob")
        team.keys.write_text(
            "".join(f'{name} = "{region.api_key_of(owner)}"\n' for name, owner in zip(names, owners, strict=True))
        )
        tokens = [team.token("new", name, "--scopes", "maas:destroy") for name in names]
        alice = stack.enter_context(team.serving(tokens[0]))
        bob = team.client(alice, tokens[1])
        early = [team.client(alice, token) for token in tokens]
        for client in (alice, bob, *early):
            client.capabilities = CAPABILITIES
        for client in early:
            client.revision = LEGACY
            client.handshake()
            client.capabilities = {}
        started = alice.call("maas_deploy_machine", system_id=region.machine("node01").system_id, wait_seconds=0)
        task = alice.call("maas_deploy_machine", system_id=region.machine("node02").system_id)
        question = alice.request("tools/call", erasing(region))
        assert question["resultType"] == "input_required", question
        yield House(
            region,
            owners,
            alice,
            bob,
            early[0],
            early[1],
            operation_id=started["structuredContent"]["operation_id"],
            task_id=task["taskId"],
            question=question,
        )


def acknowledged(client: HttpDriver, notifications: Message) -> Message:
    """Open a stream, and return the filter that the server acknowledges."""
    before = len(client.received)
    client.start_request("subscriptions/listen", {"notifications": notifications})
    method = "notifications/subscriptions/acknowledged"

    def found() -> list[Message]:
        return [each for each in client.received[before:] if each.get("method") == method]

    (message,) = eventually(found, "the stream's start")
    answer: Message = message["params"]["notifications"]
    return answer
