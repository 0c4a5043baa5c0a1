"""What a plugin declares: a tool, its arguments and its result."""

import inspect
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from maas_mcp.errors import PluginError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.declaring.operations import NOT_OFFERED, Operations
from maas_mcp.operations.declaring.overrides import check_overrides
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.timing import Timing

ArgsT = TypeVar("ArgsT", bound=BaseModel)
ResultT = TypeVar("ResultT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The services that the host gives to a running tool."""

    maas: MaasClient
    """The region, with the API key of whoever runs the server."""
    progress: ProgressReporter
    """``report(fraction, message)`` says how far the tool is."""
    cancellation: CancellationToken
    """``raise_if_cancelled()`` and ``await sleep(seconds)`` stop when the client does."""
    operations: Operations = field(default=NOT_OFFERED, kw_only=True, repr=False)
    """``run``, ``start``, ``wait``, ``get``, ``cancel`` and ``list``: long-running operations, for a ``Tool``."""
    timing: Timing = field(default=Timing(), kw_only=True, repr=False)
    """How long the host's own functions wait for what."""


class Declaration(ABC, Generic[ArgsT, ResultT]):
    """What tools and operations have in common. Subclass :class:`Tool` or ``Operation``, not this.

    The class's docstring is the tool's description for the model; ``ArgsT`` and ``ResultT`` become its input and
    output schema. A class without a ``name`` is a base for others and no tool itself.
    """

    name: ClassVar[str]
    """``maas_verb_noun``, or ``<plugin>_…``: what a client calls."""
    title: ClassVar[str] = ""
    """What people are shown; made from the name if it is empty."""
    read_only: ClassVar[bool] = False
    """Whether it leaves MAAS as it is."""
    destructive: ClassVar[bool] = False
    """Whether it may destroy data or interrupt what runs on a machine."""
    idempotent: ClassVar[bool] = False
    """Whether a second call with the same arguments changes nothing more."""

    offers: ClassVar[str] = ""
    """Which request of MAAS it makes, as MAAS's command line names it: ``machine unlock``. By this name the next steps
    of errors find it, whatever it is called. They call a tool that offers something of one machine with its
    ``system_id``."""

    arguments: ClassVar[type[BaseModel]]
    """``ArgsT``; found by itself."""
    returns: ClassVar[type[BaseModel]]
    """``ResultT``; found by itself."""

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
        """Make sure that the class can be used as it is: this runs when it is defined.

        Raises:
            TypeError: With what was wrong, what was expected, and what to write.
        """
        if not cls.description():
            raise TypeError(
                f"{cls.__qualname__}: expected a docstring, but there is none. The model chooses the tool by it: "
                "write what it does, how long it takes, and what it destroys."
            )
        if not hasattr(cls, "arguments"):
            raise TypeError(
                f"{cls.__qualname__}: expected pydantic models for its arguments and its result, but there are none. "
                f"Write `class {cls.__name__}(Operation[Arguments, Result])` or `(Tool[Arguments, Result])`."
            )
        check_overrides(cls)

    @classmethod
    def description(cls) -> str:
        """What the model is told: the docstring, without its indentation, of the class or of a tool that it extends.

        The one of any other base describes something else: the host's own classes, ``abc.ABC``, ``Generic``, a mixin.
        """
        tools = [
            each
            for each in cls.__mro__
            if issubclass(each, Declaration) and not each.__module__.startswith(f"{__package__}.")
        ]
        texts = [text for each in tools if isinstance(text := each.__doc__, str)]
        return next((cleaned for text in texts if (cleaned := inspect.cleandoc(text).strip())), "")

    def effects(self, args: ArgsT) -> Effects:
        """What a call would change: by default, the machines that the arguments name, and what the flags say.

        Override it where a call changes machines that its arguments do not name.
        """
        machines = tuple(_machines(args))
        return Effects(machines, changes=not self.read_only, destroys=self.destructive)

    def summary(self, result: ResultT) -> str:
        """The result in one line for people. Override it where the bare fields do not read well."""
        shown = {key: value for key, value in result.model_dump(mode="json").items() if value not in (None, "", [])}
        return ", ".join(f"{key}: {value}" for key, value in shown.items())


def _machines(args: BaseModel) -> Iterator[SystemId]:
    """The machines that the arguments name: by fields that are called ``system_id`` or ``system_ids``."""
    for name in ("system_id", "system_ids"):
        value: object = getattr(args, name, None)
        values = value if isinstance(value, list | tuple) else [value]
        yield from (each for each in values if isinstance(each, str))


def _models(cls: type) -> tuple[type[BaseModel], type[BaseModel]] | None:
    """What ``ArgsT`` and ``ResultT`` stand for in ``cls``; ``None`` as long as one of them is open."""
    found = _stands_for(cls, {})
    if found and all(isinstance(model, type) and issubclass(model, BaseModel) for model in found):
        return found[0], found[1]
    return None


def _stands_for(cls: type, known: Mapping[Any, Any]) -> tuple[Any, ...]:
    """The type arguments of :class:`Declaration` in ``cls``, by way of its bases, which may have some of their own."""
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = typing.get_origin(base) or base
        given = tuple(known.get(argument, argument) for argument in typing.get_args(base))
        if origin is Declaration:
            return given
        if issubclass(origin, Declaration):
            parameters = getattr(origin, "__parameters__", ())
            return _stands_for(origin, dict(zip(parameters, given, strict=False)))  # none given: all stay open
    return ()


class Tool(Declaration[ArgsT, ResultT]):
    """A tool that answers by itself: a read, or a change that MAAS makes at once."""

    @abstractmethod
    async def run(self, ctx: ToolContext, args: ArgsT) -> ResultT:
        """Do it.

        Raises:
            MaasMcpError: With a message for the model; anything else is reported as a fault of the plugin.
        """


def fault_of(name: str, error: BaseException) -> PluginError:
    """What to tell of a tool in which something failed that no plugin should let out."""
    return PluginError(
        f"{name} failed inside its plugin ({type(error).__name__}), which is a fault of the plugin.",
        hint="The server's log has the details. What was already asked of MAAS may have taken effect.",
    )
