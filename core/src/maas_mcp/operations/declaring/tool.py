"""Tool declarations: a tool, its arguments and its result."""

import inspect
import json
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from maas_mcp.errors import PluginError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId, SystemIdRule
from maas_mcp.machine_text import quoted
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.cursors import NOT_OFFERED as NO_CURSORS
from maas_mcp.operations.cursors import Cursors
from maas_mcp.operations.declaring.access import UNRESTRICTED, Access
from maas_mcp.operations.declaring.content import Part
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.declaring.operations import NOT_OFFERED, Operations
from maas_mcp.operations.declaring.overrides import check_overrides
from maas_mcp.operations.declaring.plugin_services import NO_SERVICES, PluginServices, SettingsT, StateT, UsesPlugin
from maas_mcp.operations.declaring.questions import NOBODY, Asker, AsksClient
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.timing import Timing

ArgsT = TypeVar("ArgsT", bound=BaseModel)
ResultT = TypeVar("ResultT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ToolContext(AsksClient, UsesPlugin[SettingsT, StateT]):
    """Services that the server passes to a running tool.

    A plugin with settings or a lifespan annotates ``ctx: ToolContext[ItsSettings, ItsState]``, so that type checkers
    know the types of ``ctx.settings`` and ``ctx.state``.
    """

    maas: MaasClient
    """The client for the MAAS region. It uses the API key of the caller."""
    progress: ProgressReporter
    """Progress: ``report(fraction, message)`` sends it to the client."""
    cancellation: CancellationToken
    """Cancellation: ``raise_if_cancelled()`` and ``await sleep(seconds)`` raise once the call is cancelled."""
    operations: Operations = field(default=NOT_OFFERED, kw_only=True, repr=False)
    """Long-running operations: ``run``, ``start``, ``wait``, ``get``, ``cancel`` and ``list``. Available to a ``Tool``
    only."""
    cursors: Cursors = field(default=NO_CURSORS, kw_only=True, repr=False)
    """Cursors of a list: ``seal(position)`` and ``open(cursor)``. Available to a ``Tool`` only."""
    access: Access = field(default=UNRESTRICTED, kw_only=True, repr=False)
    """The calls that the site allows the caller."""
    timing: Timing = field(default=Timing(), kw_only=True, repr=False)
    """Time limits of the server's own functions, such as ``change_machine``."""
    client: Asker = field(default=NOBODY, kw_only=True, repr=False)
    """The client, for ``ask``, ``ask_each`` and ``can_ask``."""
    plugin: PluginServices = field(default=NO_SERVICES, kw_only=True, repr=False)
    """The settings and the state of the plugin."""

    def resource_updated(self, uri: str) -> None:
        """Announce that a resource has changed to the caller's own clients that have subscribed to it."""
        self.plugin.resource_updated(uri)


class Declaration(ABC, Generic[ArgsT, ResultT]):
    """Common base of tools and operations. Subclass :class:`Tool` or ``Operation`` instead.

    The class docstring is the tool description that the model reads. ``ArgsT`` and ``ResultT`` define the input and
    output schemas. A class without a ``name`` is an abstract base and is not registered as a tool.
    """

    name: ClassVar[str]
    """The tool's name, as clients call it: ``maas_verb_noun`` or ``<plugin>_verb_noun``."""
    title: ClassVar[str] = ""
    """The title shown to people. If empty, it is derived from the name."""
    read_only: ClassVar[bool] = False
    """Whether the tool only reads from MAAS."""
    destructive: ClassVar[bool] = False
    """Whether the tool may destroy data or interrupt workloads on a machine."""
    idempotent: ClassVar[bool] = False
    """Whether a second call with the same arguments has no further effect."""

    toolset: ClassVar[str] = ""
    """The toolset of the tool, such as ``power``. Sites serve tools by toolset. Empty: the name of the plugin."""
    limit: ClassVar[str] = ""
    """The limit of the site's policy that counts the machines of a call: ``deploy``, ``release``, ``power`` or another
    name. A call that erases also counts for ``erase``. By default, the tool counts for no limit of its own."""
    admin_only: ClassVar[bool] = False
    """Whether MAAS allows the tool to administrators only."""

    list_position: ClassVar[int] = 100
    """The tool's place in the list of tools: lower numbers come first. Some clients show a model only the first 40
    tools. Tools with the same number are listed by plugin, the host's own plugins first, and then by name."""

    offers: ClassVar[str] = ""
    """The MAAS command that the tool provides, as named by the MAAS CLI: ``machine unlock``. Errors suggest tools by
    this command, so the tool may have any name. A suggested call passes the machine's ``system_id``."""

    published_schema: ClassVar[Mapping[str, Any] | None] = None
    """The input schema to publish word for word. By default it is generated from ``ArgsT`` in the subset of JSON Schema
    that all large clients accept; some clients reject a whole request for a keyword outside of it."""
    arguments: ClassVar[type[BaseModel]]
    """The model bound to ``ArgsT``; set automatically."""
    returns: ClassVar[type[BaseModel]]
    """The model bound to ``ResultT``; set automatically."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        models = _models(cls)
        if models is not None:
            cls.arguments, cls.returns = models
        name: object = getattr(cls, "name", "")
        if not isinstance(name, str):
            raise TypeError(
                f"{cls.__qualname__}.name: expected a string, but it is {name!r}. "
                'Write `name = "acme_do_something"`: clients call it by this name.'
            )
        if name and not inspect.isabstract(cls):
            cls._check()

    @classmethod
    def _check(cls) -> None:
        """Validate the class when it is defined.

        Raises:
            TypeError: The declaration is invalid. The message states the problem, the expected value and the fix.
        """
        if not cls.description():
            raise TypeError(
                f"{cls.__qualname__}: expected a docstring, but there is none. The model reads it to choose a tool: "
                "write what the tool does, how long it takes, and what it destroys."
            )
        if not hasattr(cls, "arguments"):
            raise TypeError(
                f"{cls.__qualname__}: expected pydantic models for arguments and result, but there are none. "
                f"Write `class {cls.__name__}(Operation[Arguments, Result])` or `(Tool[Arguments, Result])`."
            )
        check_overrides(cls)

    @classmethod
    def description(cls) -> str:
        """Return the tool description for the model: the class docstring, or the one inherited from another tool.

        Docstrings of other bases, such as ``abc.ABC``, a mixin or this package's classes, are ignored.
        """
        tools = [
            each
            for each in cls.__mro__
            if issubclass(each, Declaration) and not each.__module__.startswith(f"{__package__}.")
        ]
        texts = [text for each in tools if isinstance(text := each.__doc__, str)]
        return next((cleaned for text in texts if (cleaned := inspect.cleandoc(text).strip())), "")

    def effects(self, args: ArgsT) -> Effects:
        """Return what a call would change.

        By default this uses the flags above and the machines in fields that are typed ``SystemId``, or lists of it.
        Override it if a call changes other machines. The site's policy protects machines by it.
        """
        machines = tuple(_machines(args))
        return Effects(machines, changes=not self.read_only, destroys=self.destructive)

    def summary(self, result: ResultT) -> str:
        """Summarize the result in one line for people. Override it if a list of the fields does not read well.

        Texts are quoted, unless they are plain names.
        """
        shown = {key: value for key, value in result.model_dump(mode="json").items() if value not in (None, "", [])}
        return ", ".join(f"{key}: {_shown(value)}" for key, value in shown.items())


def _shown(value: object) -> object:
    if isinstance(value, str):
        return quoted(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _machines(args: BaseModel) -> Iterator[SystemId]:
    """Yield the machines in the fields that are typed ``SystemId`` or lists of it."""
    for name in _machine_fields(type(args)):
        value: object = getattr(args, name)
        values = value if isinstance(value, list | tuple | set | frozenset) else [value]
        yield from (each for each in values if isinstance(each, str))


@cache
def _machine_fields(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(
        name for name, field in model.model_fields.items() if _names_machines(field.annotation, tuple(field.metadata))
    )


def _names_machines(annotation: object, metadata: Sequence[object] = ()) -> bool:
    """Whether a type is ``SystemId``, optional or not, or a list of it."""
    if any(isinstance(each, SystemIdRule) for each in metadata):
        return True
    if typing.get_origin(annotation) is typing.Annotated:
        return _names_machines(typing.get_args(annotation)[0], annotation.__metadata__)  # type: ignore[attr-defined] # of Annotated
    return any(_names_machines(each) for each in typing.get_args(annotation))


def _models(cls: type) -> tuple[type[BaseModel], type[BaseModel]] | None:
    """Return the models bound to ``ArgsT`` and ``ResultT``; ``None`` if either is still a type variable."""
    found = _type_arguments(cls, {})
    if found and all(isinstance(model, type) and issubclass(model, BaseModel) for model in found):
        return found[0], found[1]
    return None


def _type_arguments(cls: type, known: Mapping[Any, Any]) -> tuple[Any, ...]:
    """Resolve the type arguments of :class:`Declaration` through the bases of ``cls``, which may be generic too."""
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = typing.get_origin(base) or base
        given = tuple(known.get(argument, argument) for argument in typing.get_args(base))
        if origin is Declaration:
            return given
        if issubclass(origin, Declaration):
            parameters = getattr(origin, "__parameters__", ())
            # A base without arguments leaves all parameters unbound, so the lengths may differ.
            return _type_arguments(origin, dict(zip(parameters, given, strict=False)))
    return ()


class Tool(Declaration[ArgsT, ResultT]):
    """A tool whose call returns directly: a read, or a change that MAAS completes within one request."""

    @abstractmethod
    async def run(self, ctx: ToolContext, args: ArgsT) -> ResultT:
        """Run the tool.

        Raises:
            MaasMcpError: The message goes to the model. Any other exception is reported as a plugin error.
        """

    def content(self, result: ResultT) -> Sequence[Part]:
        """Return what models and people see of the result. Override it for images, audio or files.

        A field that only this method needs, such as the bytes of an image, is left out of the structured result with
        ``Field(exclude=True)``.
        """
        return [self.summary(result)]


def check_tool_names(cls: type, names: object) -> None:
    """Check the tools that a resource or prompt needs.

    Raises:
        TypeError: They are not a tuple of names.
    """
    if not isinstance(names, tuple) or not all(isinstance(each, str) for each in names):
        raise TypeError(
            f"{cls.__qualname__}.tools: expected a tuple of names, but it is {names!r}. "
            'Write `tools = ("acme_read_rack",)`.'
        )


def plugin_error(name: str, error: BaseException) -> PluginError:
    """Return the error to report when a plugin raised an unexpected exception."""
    return PluginError(
        f"{name} failed inside its plugin ({type(error).__name__}), which is a bug in the plugin.",
        hint="See the server's log for details. Requests already sent to MAAS may have taken effect.",
    )
