"""Completes arguments: caches the possible values of each principal briefly, and selects those that match."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from maas_mcp.operations.declaring.completion import Choice, Completion

MAX_VALUES: Final = 100
"""Maximum values in a response, as MCP requires."""
FRESH_FOR: Final = 15.0
"""Seconds for which possible values are reused, so that typing does not send a request to MAAS for each key."""

Read = Callable[[], Awaitable[Sequence[Choice]]]


@dataclass(frozen=True, slots=True)
class Completed:
    """The values that match, up to a maximum, and the number of all that match."""

    values: list[str]
    total: int

    @property
    def more(self) -> bool:
        """Whether more values match than are listed."""
        return self.total > len(self.values)


@dataclass(eq=False, slots=True)
class _Kept:
    """The possible values of one completion."""

    reading: anyio.Lock = field(default_factory=anyio.Lock)
    """Held while they are read: concurrent requests share one read."""
    choices: Sequence[Choice] = ()
    read_at: float = float("-inf")


class ChoiceCache:
    """The possible values of one principal's completions."""

    def __init__(self) -> None:
        self._kept: dict[type[Completion], _Kept] = {}

    async def complete(self, completion: Completion, typed: str, read: Read) -> Completed:
        """Return the values that begin with ``typed``, or have a name that does.

        Args:
            completion: The completion.
            typed: The beginning of the argument.
            read: Reads all possible values.

        Raises:
            MaasMcpError: They could not be read.
        """
        kept = self._kept.setdefault(type(completion), _Kept())
        async with kept.reading:
            if anyio.current_time() >= kept.read_at + FRESH_FOR:
                kept.choices = await read()
                kept.read_at = anyio.current_time()
        matching = list(dict.fromkeys(each.value for each in kept.choices if each.matches(typed)))
        return Completed(matching[:MAX_VALUES], len(matching))
