"""Prompts that plugins declare in code, through MCP in both eras, with a region in the same process."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Literal

import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, Field

from maas_mcp.api import File, Image, LifespanContext, OperationRefusedError, Part, Prompt, PromptContext
from maas_mcp.calls import host as calls
from maas_mcp.plugins.contributions import Contributions
from maas_mcp.plugins.registry import Registry
from maas_mcp.server.app import build
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import Host

PIXEL = b"\x89PNG"


class Nothing(BaseModel):
    pass


class Which(BaseModel):
    system_id: str = Field(description="The machine.")
    lines: int = 10


class Illustrated(Prompt[Nothing]):
    """Look at a rack."""

    name = "illustrated"
    title = "A rack"

    async def messages(self, _ctx: PromptContext, _args: Nothing) -> Sequence[Part]:
        return [
            Image(PIXEL, "image/png"),
            File("test://text", "Text \ud800.", "text/plain"),
            File("test://data", PIXEL, "image/png"),
            "Describe \ud800 it.",
        ]


class Explain(Prompt[Which]):
    """Explain a machine's status."""

    name = "explain_status"

    async def messages(self, ctx: PromptContext, args: Which) -> Sequence[Part]:
        machine = await ctx.maas.machine(args.system_id)
        return [f"In {args.lines + 1} lines: {machine.hostname} is {machine.status_name}."]


class Style(BaseModel):
    """The settings of the plugin."""

    greeting: str = "Good morning"


@asynccontextmanager
async def open_name(ctx: LifespanContext[Style, None]) -> AsyncIterator[str]:
    yield (await ctx.maas.whoami()).username


class Greet(Prompt[Nothing]):
    """Greet the caller."""

    name = "greet"

    async def messages(self, ctx: PromptContext[Style, str], _args: Nothing) -> Sequence[Part]:
        return [f"{ctx.settings.greeting}, {ctx.state}"]


class Refusing(Prompt[Nothing]):
    """Refuse."""

    name = "refusing"

    async def messages(self, _ctx: PromptContext, _args: Nothing) -> Sequence[Part]:
        raise OperationRefusedError("The rack is locked.", hint="Unlock it.")


class Failing(Prompt[Nothing]):
    """Fail."""

    name = "failing"

    async def messages(self, _ctx: PromptContext, _args: Nothing) -> Sequence[Part]:
        raise KeyError("secret")


DECLARED = (Illustrated, Explain, Greet, Refusing, Failing)

Era = Literal["legacy", "2026-07-28"]


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> str:
    era: str = request.param
    return era


@asynccontextmanager
async def connected(host: Host, era: Any) -> AsyncIterator[Client]:
    """A client of a server with these prompts only."""

    @asynccontextmanager
    async def running(*_: object) -> AsyncIterator[calls.Host]:
        yield host.host

    prompts: Mapping[str, Any] = {prompt.name: prompt() for prompt in DECLARED}
    plugin = Contributions(
        name="test", plugin="test", prompts=tuple(prompts.values()), settings=Style(), lifespan=open_name
    )
    registry = Registry(MappingProxyType({}), (), plugins=(plugin,), prompts=prompts)
    host.host.plugins.use([plugin])
    async with Client(build(registry, host.settings, host.host.connections, running), mode=era) as client:
        yield client


def get(region: MaasRegion, era: str, name: str, **arguments: str) -> types.GetPromptResult:
    async def run(host: Host) -> types.GetPromptResult:
        async with connected(host, era) as client:
            return await client.get_prompt(name, arguments)

    return region._run(run, "admin")


def refusal(region: MaasRegion, era: str, name: str, **arguments: str) -> MCPError:
    async def run(host: Host) -> MCPError:
        async with connected(host, era) as client:
            with pytest.raises(MCPError) as caught:  # inside the client, whose task group would wrap it
                await client.get_prompt(name, arguments)
        return caught.value

    return region._run(run, "admin")


def test_prompts_are_listed_with_their_arguments(maas_region: MaasRegion, era: str) -> None:
    async def run(host: Host) -> types.ListPromptsResult:
        async with connected(host, era) as client:
            return await client.list_prompts()

    listed = {prompt.name: prompt for prompt in maas_region._run(run, "admin").prompts}

    assert list(listed) == ["explain_status", "failing", "greet", "illustrated", "refusing"]
    explain = listed["explain_status"]
    assert (explain.title, explain.description) == ("Explain status", "Explain a machine's status.")
    assert [(each.name, each.required) for each in explain.arguments or []] == [("system_id", True), ("lines", False)]
    assert listed["illustrated"].title == "A rack"


def test_a_prompt_has_texts_images_and_resources_in_their_order(maas_region: MaasRegion, era: str) -> None:
    image, text, data, last = (message.content for message in get(maas_region, era, "illustrated").messages)

    assert isinstance(image, types.ImageContent)
    assert (base64.b64decode(image.data), image.mime_type) == (PIXEL, "image/png")
    assert isinstance(text, types.EmbeddedResource)
    assert isinstance(text.resource, types.TextResourceContents)
    assert (str(text.resource.uri), text.resource.text) == ("test://text", "Text \ufffd.")
    assert isinstance(data, types.EmbeddedResource)
    assert isinstance(data.resource, types.BlobResourceContents)
    assert base64.b64decode(data.resource.blob) == PIXEL
    assert isinstance(last, types.TextContent)
    assert last.text == "Describe \ufffd it."


def test_a_prompt_reads_maas_and_takes_its_arguments_as_strings(maas_region: MaasRegion, era: str) -> None:
    system_id = maas_region.machine("node07").system_id

    (message,) = get(maas_region, era, "explain_status", system_id=system_id, lines="4").messages

    assert isinstance(message.content, types.TextContent)
    assert message.content.text == "In 5 lines: node07 is Deployed."


def test_a_prompt_has_its_plugins_settings_and_state(maas_region: MaasRegion, era: str) -> None:
    (message,) = get(maas_region, era, "greet").messages

    assert isinstance(message.content, types.TextContent)
    assert message.content.text == "Good morning, admin"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "missing: system_id"),
        ({"system_id": "x", "host": "y"}, "unknown: host"),
        ({"system_id": "x", "lines": "many"}, "lines: Input should be a valid integer"),
    ],
)
def test_wrong_arguments_are_refused_with_what_is_expected(
    maas_region: MaasRegion, era: str, arguments: dict[str, str], expected: str
) -> None:
    error = refusal(maas_region, era, "explain_status", **arguments)

    assert error.error.code == types.INVALID_PARAMS
    assert expected in error.error.message
    assert "many" not in error.error.message


def test_a_refusal_of_the_prompt_reaches_the_client(maas_region: MaasRegion, era: str) -> None:
    assert refusal(maas_region, era, "refusing").error.message == "The rack is locked. Unlock it."


def test_an_error_of_maas_reaches_the_client(maas_region: MaasRegion, era: str) -> None:
    assert "nowhere" in refusal(maas_region, era, "explain_status", system_id="nowhere").error.message


def test_a_bug_in_a_prompt_is_named_without_its_message(maas_region: MaasRegion, era: str) -> None:
    message = refusal(maas_region, era, "failing").error.message

    assert message.startswith("failing failed inside its plugin (KeyError)")
    assert "secret" not in message
