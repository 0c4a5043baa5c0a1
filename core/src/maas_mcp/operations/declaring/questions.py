"""Requests of a tool to its client, as data: a question for the user, a prompt for the client's model, its folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, cast

from pydantic import BaseModel

from maas_mcp.errors import CannotAskError, MaasMcpError

AnswerT = TypeVar("AnswerT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Question(Generic[AnswerT]):
    """A question for the user, who answers in a form.

    Clients show only flat forms: fields of strings, numbers, booleans, choices, and lists of choices.
    """

    text: str
    """Everything that the user needs to know for the answer."""
    answer: type[AnswerT]
    """The form: one field for each value. The fields' descriptions and defaults are shown."""


class ModelReply(BaseModel, defer_build=True):
    """The reply of the client's model."""

    text: str


@dataclass(frozen=True, slots=True)
class ModelPrompt:
    """A prompt for the client's own model. The answer is a :class:`ModelReply`. MCP has deprecated this."""

    text: str
    max_tokens: int = 1000

    @property
    def answer(self) -> type[ModelReply]:
        """The model of the answer."""
        return ModelReply


class ClientFolder(BaseModel, defer_build=True):
    """A folder of the client."""

    uri: str
    name: str | None = None


class ClientFolders(BaseModel, defer_build=True):
    """The folders that the client works on."""

    folders: list[ClientFolder]


@dataclass(frozen=True, slots=True)
class FolderRequest:
    """A request for the folders that the client works on, its roots. MCP has deprecated this."""

    @property
    def answer(self) -> type[ClientFolders]:
        """The model of the answer."""
        return ClientFolders


ClientRequest = Question[Any] | ModelPrompt | FolderRequest
CAPABILITIES: Final[Mapping[type[Any], str]] = MappingProxyType(
    {Question: "elicitation", ModelPrompt: "sampling", FolderRequest: "roots"}
)
"""MCP's name of the client capability that each kind of request needs."""


class AnswersNeededError(MaasMcpError):
    """A call needs answers, and the client gets the questions as the call's result. It then calls again with them.

    Args:
        requests: The questions, by their keys.
    """

    code = "answers_needed"

    def __init__(self, requests: Mapping[str, ClientRequest]) -> None:
        super().__init__("The call needs answers before it can continue.")
        self.requests = dict(requests)


class Asker(Protocol):
    """Asks the client of a call."""

    def can_ask(self, kind: type[Any] = Question) -> bool:
        """Whether the client answers requests of this kind."""
        ...

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, BaseModel]:
        """Ask, and return the answers by the same keys.

        Raises:
            CannotAskError: The client cannot answer one of them.
            NotAnsweredError: The user declined, or did not answer in time.
            AnswersNeededError: The client answers by calling again.
        """
        ...

    async def log(self, text: str, level: str) -> None:
        """Send a log message."""
        ...


def cannot_ask(asker: Asker, requests: Mapping[str, ClientRequest]) -> CannotAskError:
    """The error for requests that the client does not answer."""
    refused = {type(each) for each in requests.values() if not asker.can_ask(type(each))}
    return CannotAskError(sorted(CAPABILITIES[each] for each in refused))


class _Nobody:
    """The asker of a call whose client cannot be asked."""

    def can_ask(self, kind: type[Any] = Question) -> bool:  # noqa: ARG002 - as in the protocol
        return False

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, BaseModel]:
        raise cannot_ask(self, requests)

    async def log(self, text: str, level: str) -> None:
        pass


NOBODY: Final[Asker] = _Nobody()


class AsksClient:
    """The methods of a context that can ask its client."""

    __slots__ = ()

    if TYPE_CHECKING:  # a slot of each context

        @property
        def client(self) -> Asker:
            """The client."""

    def can_ask(self, kind: type[Any] = Question) -> bool:
        """Whether the client can answer: a :class:`Question`, or another kind of request to the client."""
        return self.client.can_ask(kind)

    async def ask(self, text: str, answer: type[AnswerT], *, key: str = "answer") -> AnswerT:
        """Ask the user a question, and return the answer.

        Ask before the first change in MAAS: after it, a question ends the call as a bug in the plugin. For clients
        since 2026-07-28, the call ends with the question and runs again from its start with the answer, so that
        everything before the question must be repeatable. Questions that follow each other need different keys.

        Args:
            text: The question.
            answer: The form: a flat model.
            key: The name of the question, unique in the call.

        Raises:
            CannotAskError: The client cannot ask the user. Check :meth:`can_ask` first if an answer is optional.
            NotAnsweredError: The user declined, or did not answer in time.
        """
        answers = await self.client.ask({key: Question(text, answer)})
        return cast(AnswerT, answers[key])

    async def ask_each(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, BaseModel]:
        """Make several requests to the client at once, by key, and return their answers. As :meth:`ask` otherwise."""
        return await self.client.ask(requests)

    async def log(self, text: str, level: str = "info") -> None:
        """Send a log message to a client before 2026-07-28. MCP has deprecated this: later clients receive nothing.

        Args:
            text: The message.
            level: ``debug``, ``info``, ``notice``, ``warning``, ``error``, ``critical``, ``alert`` or ``emergency``.
        """
        await self.client.log(text, level)
