"""Notes about machines: an example of a plugin's settings, lifespans, resource and completion."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from pydantic import BaseModel, Field

from maas_mcp.api import (
    Choice,
    Completion,
    InvalidArgumentsError,
    LifespanContext,
    Resource,
    ResourceNotFoundError,
    SystemId,
    Tool,
    ToolContext,
    hookimpl,
)


class NoteSettings(BaseModel):
    longest: int = Field(default=200, ge=1, description="Maximum characters of a note.")


@dataclass
class Notebook:
    """The notes of all callers."""

    notes: dict[str, str] = field(default_factory=dict)


@dataclass
class Author:
    """A caller, who signs its notes."""

    username: str
    notebook: Notebook


@asynccontextmanager
async def open_notebook(_settings: NoteSettings) -> AsyncIterator[Notebook]:
    yield Notebook()


@asynccontextmanager
async def open_author(ctx: LifespanContext[NoteSettings, Notebook]) -> AsyncIterator[Author]:
    user = await ctx.maas.whoami()
    yield Author(user.username, ctx.process)


NoteContext = ToolContext[NoteSettings, Author]


class Note(Resource):
    """The note about a machine."""

    uri = "notes://machines/{system_id}"
    name = "note"

    async def read(self, ctx: NoteContext, system_id: SystemId) -> str:
        note = ctx.state.notebook.notes.get(system_id)
        if note is None:
            raise ResourceNotFoundError(f"There is no note about {system_id}.")
        return note


class NoteArguments(BaseModel):
    system_id: SystemId = Field(description="System id of the machine, from maas_list_machines.")
    text: str = Field(description="The note.")


class Written(BaseModel):
    note: str


class WriteNote(Tool[NoteArguments, Written]):
    """Write a note about a machine, in place of the last one."""

    name = "notes_write"
    idempotent = True

    async def run(self, ctx: NoteContext, args: NoteArguments) -> Written:
        if len(args.text) > ctx.settings.longest:
            raise InvalidArgumentsError(f"The note is longer than {ctx.settings.longest} characters. Shorten it.")
        note = f"{args.text} ({ctx.state.username})"
        ctx.state.notebook.notes[args.system_id] = note
        ctx.resource_updated(f"notes://machines/{args.system_id}")
        return Written(note=note)


class Authors(Completion):
    """User names, found by e-mail address too."""

    arguments = ("author",)

    async def choices(self, ctx: NoteContext) -> list[Choice | str]:
        users = await ctx.maas.get("users/")
        return [Choice(user["username"], (user["email"],)) for user in users]


@hookimpl
def maas_mcp_settings() -> type[BaseModel]:
    return NoteSettings


@hookimpl
def maas_mcp_process_lifespan() -> Callable[[NoteSettings], AbstractAsyncContextManager[Notebook]]:
    return open_notebook


@hookimpl
def maas_mcp_lifespan() -> Callable[[LifespanContext[NoteSettings, Notebook]], AbstractAsyncContextManager[Author]]:
    return open_author


@hookimpl
def maas_mcp_resources() -> list[type[Resource]]:
    return [Note]


@hookimpl
def maas_mcp_completions() -> list[type[Completion]]:
    return [Authors]


@hookimpl
def maas_mcp_tools() -> list[type[WriteNote]]:
    return [WriteNote]
