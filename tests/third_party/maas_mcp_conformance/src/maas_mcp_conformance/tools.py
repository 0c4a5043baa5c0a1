"""Short tools: each kind of content, progress, log messages and an error."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import anyio
from pydantic import BaseModel, Field

from maas_mcp.api import Audio, File, Image, MaasMcpError, Part, Tool, ToolContext
from maas_mcp_conformance.samples import PNG, WAV

PAUSE = 0.05
"""Seconds between two messages."""


class Nothing(BaseModel):
    """No arguments."""


class Text(BaseModel):
    """A text."""

    text: str


class TextTool(Tool[Nothing, Text]):
    """A tool that returns a text."""

    read_only = True

    def summary(self, result: Text) -> str:
        """The text."""
        return result.text


class SimpleText(TextTool):
    """Return a text."""

    name = "test_simple_text"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Return it."""
        return Text(text="This is a simple text response for testing.")


class ImageContent(TextTool):
    """Return an image."""

    name = "test_image_content"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Return its description."""
        return Text(text="A red pixel.")

    def content(self, result: Text) -> Sequence[Part]:
        """The image."""
        return [Image(PNG, "image/png")]


class AudioContent(TextTool):
    """Return a sound recording."""

    name = "test_audio_content"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Return its description."""
        return Text(text="Silence.")

    def content(self, result: Text) -> Sequence[Part]:
        """The recording."""
        return [Audio(WAV, "audio/wav")]


class EmbeddedResource(TextTool):
    """Return a file."""

    name = "test_embedded_resource"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Return its text."""
        return Text(text="This is an embedded resource content.")

    def content(self, result: Text) -> Sequence[Part]:
        """The file."""
        return [File("test://embedded-resource", result.text, "text/plain")]


class MixedContent(TextTool):
    """Return a text, an image and a file."""

    name = "test_multiple_content_types"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Return the text."""
        return Text(text="Multiple content types test:")

    def content(self, result: Text) -> Sequence[Part]:
        """All three."""
        return [
            result.text,
            Image(PNG, "image/png"),
            File("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
        ]


class WithLogging(TextTool):
    """Send log messages."""

    name = "test_tool_with_logging"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Send three."""
        for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await ctx.log(text)
            await anyio.sleep(PAUSE)
        return Text(text="Three log messages were sent.")


class LoggingTool(WithLogging):
    """Send log messages under another name."""

    name = "test_logging_tool"


class WithProgress(TextTool):
    """Send progress."""

    name = "test_tool_with_progress"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Send three steps, further apart than the host's limit for messages."""
        for fraction in (0.0, 0.5, 1.0):
            ctx.progress.report(fraction, f"Step at {fraction:.0%}")
            await ctx.cancellation.sleep(0.4)
        return Text(text="Progress was sent.")


class ErrorHandling(TextTool):
    """Fail."""

    name = "test_error_handling"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Fail."""
        raise MaasMcpError("This tool intentionally returns an error for testing")


class GreetArguments(BaseModel):
    """A name."""

    name: str = Field(description="Whom to greet.")


class Greet(Tool[GreetArguments, Text]):
    """Greet somebody."""

    name = "greet"
    read_only = True

    async def run(self, ctx: ToolContext, args: GreetArguments) -> Text:
        """Greet."""
        return Text(text=f"Hello, {args.name}!")

    def summary(self, result: Text) -> str:
        """The greeting."""
        return result.text


class HeaderArguments(BaseModel):
    """An argument that clients repeat in a header."""

    region: str = Field(json_schema_extra={"x-mcp-header": "Region"})


class CustomHeader(Tool[HeaderArguments, Text]):
    """Return an argument that clients repeat in a header."""

    name = "test_custom_header"
    read_only = True

    async def run(self, ctx: ToolContext, args: HeaderArguments) -> Text:
        """Return it."""
        return Text(text=args.region)


ADDRESS = {
    "$anchor": "addressDef",
    "type": "object",
    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
}


class SchemaArguments(BaseModel):
    """A person."""

    name: str | None = None
    address: dict[str, str] | None = None
    contactMethod: str | None = None
    phone: str | None = None
    email: str | None = None


class JsonSchemaTool(Tool[SchemaArguments, Text]):
    """Publish keywords of JSON Schema 2020-12."""

    name = "json_schema_2020_12_tool"
    read_only = True
    published_schema: ClassVar[Mapping[str, Any]] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": ADDRESS},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    }

    async def run(self, ctx: ToolContext, args: SchemaArguments) -> Text:
        """Return the name."""
        return Text(text=args.name or "")


SHORT_TOOLS = (
    CustomHeader,
    SimpleText,
    ImageContent,
    AudioContent,
    EmbeddedResource,
    MixedContent,
    WithLogging,
    LoggingTool,
    WithProgress,
    ErrorHandling,
)
