"""Tools that ask the client: the user, the client's model, and the client for its folders."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, JsonValue

from maas_mcp.api import (
    ClientFolders,
    FolderRequest,
    ModelPrompt,
    ModelReply,
    NotAnsweredError,
    Question,
    Tool,
    ToolContext,
)
from maas_mcp_conformance.tools import Nothing, Text, TextTool


class Name(BaseModel):
    """A name."""

    name: str


class Color(BaseModel):
    """A colour."""

    color: str


class Ok(BaseModel):
    """A confirmation."""

    ok: bool


class Elicitation(TextTool):
    """Ask for a name."""

    name = "test_input_required_result_elicitation"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Ask."""
        answer = await ctx.ask("What is your name?", Name, key="user_name")
        return Text(text=f"Hello, {answer.name}!")


class StreamingElicitation(Elicitation):
    """Ask for a name, under another name."""

    name = "test_streaming_elicitation"


class Sampling(TextTool):
    """Ask the client's model."""

    name = "test_input_required_result_sampling"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Ask."""
        answers = await ctx.ask_each({"capital_question": ModelPrompt("What is the capital of France?", 100)})
        return Text(text=_reply(answers, "capital_question"))


class MissingCapability(Sampling):
    """Need a capability that clients rarely have."""

    name = "test_missing_capability"


class ListRoots(TextTool):
    """Ask for the client's folders."""

    name = "test_input_required_result_list_roots"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Ask."""
        answers = await ctx.ask_each({"client_roots": FolderRequest()})
        return Text(text=_folders(answers))


class RequestState(TextTool):
    """Ask for a confirmation."""

    name = "test_input_required_result_request_state"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Ask."""
        await ctx.ask("Please confirm", Ok, key="confirm")
        return Text(text="state-ok")


class TamperedState(RequestState):
    """Ask for a confirmation, under another name."""

    name = "test_input_required_result_tampered_state"


class MultipleInputs(TextTool):
    """Ask for everything at once."""

    name = "test_input_required_result_multiple_inputs"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Ask."""
        answers = await ctx.ask_each(
            {
                "user_name": Question("What is your name?", Name),
                "greeting": ModelPrompt("Generate a greeting", 50),
                "client_roots": FolderRequest(),
            }
        )
        return Text(text=f"{_reply(answers, 'greeting')} {_folders(answers)}")


class MultiRound(TextTool):
    """Ask twice, one after the other."""

    name = "test_input_required_result_multi_round"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Ask."""
        who = await ctx.ask("Step 1: What is your name?", Name, key="step1")
        which = await ctx.ask("Step 2: What is your favorite color?", Color, key="step2")
        return Text(text=f"{who.name} likes {which.color}.")


class Capabilities(TextTool):
    """Ask what the client can answer."""

    name = "test_input_required_result_capabilities"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Ask."""
        wanted: dict[str, Any] = {
            "user_name": Question("What is your name?", Name),
            "greeting": ModelPrompt("Generate a greeting", 50),
        }
        possible = {key: each for key, each in wanted.items() if ctx.can_ask(type(each))}
        answers = await ctx.ask_each(possible)
        return Text(text=f"The client answered {', '.join(answers)}.")


class Prompt(BaseModel):
    """A prompt."""

    prompt: str


class LegacySampling(Tool[Prompt, Text]):
    """Ask the client's model."""

    name = "test_sampling"
    read_only = True

    async def run(self, ctx: ToolContext, args: Prompt) -> Text:
        """Ask."""
        answers = await ctx.ask_each({"prompt": ModelPrompt(args.prompt, 100)})
        return Text(text=f"LLM response: {_reply(answers, 'prompt')}")


class Message(BaseModel):
    """A message."""

    message: str


class UserDetails(BaseModel):
    """Two texts."""

    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class LegacyElicitation(Tool[Message, Text]):
    """Ask the user."""

    name = "test_elicitation"
    read_only = True

    async def run(self, ctx: ToolContext, args: Message) -> Text:
        """Ask."""
        return Text(text=f"User response: {await _asked(ctx, args.message, UserDetails)}")


class Defaults(BaseModel):
    """One field of each type, with a default."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


class ElicitationDefaults(TextTool):
    """Ask with defaults."""

    name = "test_elicitation_sep1034_defaults"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Ask."""
        return Text(text=f"Elicitation completed: {await _asked(ctx, 'Please check your details', Defaults)}")


def _titled(*titles: str) -> list[JsonValue]:
    return [{"const": f"value{number}", "title": title} for number, title in enumerate(titles, 1)]


class Enums(BaseModel):
    """One choice of each kind."""

    untitledSingle: Literal["option1", "option2", "option3"]
    titledSingle: str = Field(json_schema_extra={"oneOf": _titled("First Option", "Second Option", "Third Option")})
    legacyEnum: Literal["opt1", "opt2", "opt3"] = Field(
        json_schema_extra={"enumNames": ["Option One", "Option Two", "Option Three"]}
    )
    untitledMulti: list[Literal["option1", "option2", "option3"]]
    titledMulti: list[str] = Field(
        json_schema_extra={"items": {"anyOf": _titled("First Choice", "Second Choice", "Third Choice")}}
    )


class ElicitationEnums(TextTool):
    """Ask with choices."""

    name = "test_elicitation_sep1330_enums"

    async def run(self, ctx: ToolContext, args: Nothing) -> Text:
        """Ask."""
        return Text(text=f"Elicitation completed: {await _asked(ctx, 'Please choose', Enums)}")


async def _asked(ctx: ToolContext, text: str, form: type[BaseModel]) -> str:
    try:
        answer = await ctx.ask(text, form)
    except NotAnsweredError:
        return "action=decline, content={}"
    return f"action=accept, content={answer.model_dump_json()}"


def _reply(answers: Mapping[str, BaseModel], key: str) -> str:
    reply = answers[key]
    return reply.text if isinstance(reply, ModelReply) else ""


def _folders(answers: Mapping[str, BaseModel]) -> str:
    found = answers["client_roots"]
    return ", ".join(each.uri for each in found.folders) if isinstance(found, ClientFolders) else ""


ASKING_TOOLS = (
    Elicitation,
    StreamingElicitation,
    Sampling,
    MissingCapability,
    ListRoots,
    RequestState,
    TamperedState,
    MultipleInputs,
    MultiRound,
    Capabilities,
    LegacySampling,
    LegacyElicitation,
    ElicitationDefaults,
    ElicitationEnums,
)
