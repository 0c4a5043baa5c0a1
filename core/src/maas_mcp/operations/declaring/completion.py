"""Completion declarations: the values that a client offers while a user types an argument."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from maas_mcp.operations.declaring.tool import ToolContext


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that a user can choose."""

    value: str
    """The value of the argument, such as a system id."""
    names: tuple[str, ...] = ()
    """Other texts that users type for it, such as a hostname."""

    def matches(self, typed: str) -> bool:
        """Whether the value or one of its names begins with ``typed``, in any case."""
        return any(text.casefold().startswith(typed.casefold()) for text in (self.value, *self.names))


class Completion(ABC):
    """The possible values of an argument: of every prompt and resource template with an argument of this name."""

    arguments: ClassVar[Sequence[str]]
    """The names of the arguments: ``("zone",)``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if inspect.isabstract(cls):
            return
        names: object = getattr(cls, "arguments", None)
        if not isinstance(names, list | tuple) or not names or not all(isinstance(each, str) for each in names):
            raise TypeError(
                f"{cls.__qualname__}.arguments: expected a list of argument names, but it is {names!r}. "
                'Write `arguments = ("zone",)` in the class.'
            )
        if not inspect.iscoroutinefunction(cls.choices):
            raise TypeError(
                f"{cls.__qualname__}.choices: expected an async function. Write `async def choices(self, ctx)`."
            )

    @abstractmethod
    async def choices(self, ctx: ToolContext) -> Sequence[Choice | str]:
        """Return all possible values, in the order in which to offer them.

        The host keeps them for some seconds and selects those that begin with what the user has typed.

        Raises:
            MaasMcpError: They cannot be read. The client then gets no values.
        """
