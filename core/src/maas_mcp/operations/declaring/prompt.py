"""Prompt declarations: a text for the model that a user picks from the client's menu."""

import inspect
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic

from pydantic import BaseModel

from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.declaring.content import Part
from maas_mcp.operations.declaring.plugin_services import NO_SERVICES, PluginServices, SettingsT, StateT, UsesPlugin
from maas_mcp.operations.declaring.questions import NOBODY, Asker, AsksClient
from maas_mcp.operations.declaring.tool import ArgsT, check_tool_names


@dataclass(frozen=True, slots=True)
class PromptContext(AsksClient, UsesPlugin[SettingsT, StateT]):
    """Services that the server passes to a prompt."""

    open_maas: Callable[[], MaasClient] = field(repr=False)
    client: Asker = field(default=NOBODY, kw_only=True, repr=False)
    """The client, for ``ask``, ``ask_each`` and ``can_ask``."""
    plugin: PluginServices = field(default=NO_SERVICES, kw_only=True, repr=False)
    """The settings and the state of the plugin."""

    @property
    def maas(self) -> MaasClient:
        """The client for the MAAS region. It uses the API key of the caller.

        Raises:
            SettingsError: The URL or the API key is missing or malformed.
        """
        return self.open_maas()


class Prompt(ABC, Generic[ArgsT]):
    """A prompt that plugins declare in code. A prompt that is only a text is better written as a skill.

    A prompt only reads from MAAS: every caller may get it, even one who may change nothing.

    The class docstring is the description that users read. The model ``ArgsT`` defines the arguments. Clients
    send each argument as a string, so a field needs a type that pydantic reads from a string, such as ``int``.
    """

    name: ClassVar[str]
    """The prompt's name: letters, digits, hyphens and underscores, unique in the server."""
    title: ClassVar[str] = ""
    """The title shown to people. If empty, it is derived from the name."""
    tools: ClassVar[tuple[str, ...]] = ()
    """The names of tools that the prompt makes the model call. The prompt is served only where all of them are."""
    arguments: ClassVar[type[BaseModel]]
    """The model bound to ``ArgsT``; set automatically."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            if typing.get_origin(base) is Prompt and isinstance(model := typing.get_args(base)[0], type):
                cls.arguments = model
        if getattr(cls, "name", "") and not inspect.isabstract(cls):
            cls._check()

    @classmethod
    def _check(cls) -> None:
        """Validate the class when it is defined.

        Raises:
            TypeError: The declaration is invalid. The message states the problem, the expected value and the fix.
        """
        if not cls.description():
            raise TypeError(
                f"{cls.__qualname__}: expected a docstring, but there is none. Users choose a prompt by it: write what "
                "the prompt makes the model do."
            )
        if not hasattr(cls, "arguments"):
            raise TypeError(
                f"{cls.__qualname__}: expected a pydantic model for the arguments, but there is none. "
                f"Write `class {cls.__name__}(Prompt[Arguments])`."
            )
        check_tool_names(cls, cls.tools)

    @classmethod
    def description(cls) -> str:
        """Return the description for users: the class docstring."""
        return inspect.cleandoc(cls.__dict__.get("__doc__") or "").strip()

    @abstractmethod
    async def messages(self, ctx: PromptContext, args: ArgsT) -> Sequence[Part]:
        """Return the messages, each in the user's name, in the order in which the model reads them.

        Raises:
            MaasMcpError: The message goes to the client. Any other exception is reported as a plugin error.
        """
