"""Prompts: a text, a text with arguments, a file and an image."""

from collections.abc import Sequence

from pydantic import BaseModel

from maas_mcp.api import File, Image, Part, Prompt, PromptContext
from maas_mcp_conformance.samples import PNG
from maas_mcp_conformance.tools import Nothing


class SimplePrompt(Prompt[Nothing]):
    """A simple prompt."""

    name = "test_simple_prompt"

    async def messages(self, ctx: PromptContext, args: Nothing) -> Sequence[Part]:
        """One text."""
        return ["This is a simple prompt for testing."]


class TwoArguments(BaseModel):
    """Two texts."""

    arg1: str
    arg2: str


class PromptWithArguments(Prompt[TwoArguments]):
    """A prompt with two arguments."""

    name = "test_prompt_with_arguments"

    async def messages(self, ctx: PromptContext, args: TwoArguments) -> Sequence[Part]:
        """A text with both."""
        return [f"Prompt with arguments: arg1='{args.arg1}', arg2='{args.arg2}'"]


class ResourceArguments(BaseModel):
    """A URI."""

    resourceUri: str


class PromptWithResource(Prompt[ResourceArguments]):
    """A prompt with a file."""

    name = "test_prompt_with_embedded_resource"

    async def messages(self, ctx: PromptContext, args: ResourceArguments) -> Sequence[Part]:
        """The file and a text."""
        return [
            File(args.resourceUri, "Embedded resource content for testing.", "text/plain"),
            "Please process the embedded resource above.",
        ]


class PromptWithImage(Prompt[Nothing]):
    """A prompt with an image."""

    name = "test_prompt_with_image"

    async def messages(self, ctx: PromptContext, args: Nothing) -> Sequence[Part]:
        """The image and a text."""
        return [Image(PNG, "image/png"), "Please analyze the image above."]


class Background(BaseModel):
    """A background."""

    context: str


class AskingPrompt(Prompt[Nothing]):
    """A prompt that asks the user."""

    name = "test_input_required_result_prompt"

    async def messages(self, ctx: PromptContext, args: Nothing) -> Sequence[Part]:
        """The answer."""
        answer = await ctx.ask("What context should the prompt use?", Background, key="user_context")
        return [f"Use this context: {answer.context}"]


PROMPTS = (AskingPrompt, SimplePrompt, PromptWithArguments, PromptWithResource, PromptWithImage)
