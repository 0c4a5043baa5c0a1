"""Operations that wait for answers before they start, although their clients already have their ids.

A client that supports tasks may get a task whose question the user answers later. Until then nothing is sent to MAAS,
and only this process knows the operation. After a restart, the task shows that its operation never started.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio
from pydantic import BaseModel

from maas_mcp.errors import MaasMcpError, NotAnsweredError, OperationRefusedError
from maas_mcp.operations.declaring.questions import Asker, ClientRequest, Question, cannot_ask
from maas_mcp.policy.tiers import Tier

ANSWER_LIMIT: Final = 3600.0
"""Seconds to wait for an answer. No answer means no."""
MAX_WAITING: Final = 32
"""Maximum operations of one principal that wait at the same time."""
MAX_ENDED: Final = 32
"""Maximum operations of one principal whose start failed and whose reason is kept."""


class WaitingOperation:
    """The questions of one operation before its start, and their answers.

    Args:
        client: Shows which questions the client can ask.
        started: The time in the operation's id, in seconds since 1970 (UTC).
        tier: The tier of the call. An answer needs its scope, too.
    """

    def __init__(self, client: Asker, started: int, tier: Tier = Tier.DESTROY) -> None:
        self.tier = tier
        self._client = client
        self.started = started
        self.pending: dict[str, ClientRequest] = {}
        """The unanswered requests to the client."""
        self.error: MaasMcpError | None = None
        """Why it did not start."""
        self._names: dict[str, str] = {}
        """The tool's own keys of the pending requests."""
        self._asked = 0
        self._answers: dict[str, BaseModel] = {}
        self._changed = anyio.Event()

    def can_ask(self, kind: type[Any] = Question) -> bool:
        """Whether the client answers requests of this kind."""
        return self._client.can_ask(kind)

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, BaseModel]:
        """Wait for the answers.

        Raises:
            CannotAskError: The client cannot answer one of the requests.
            NotAnsweredError: The user declined, or did not answer in time.
        """
        if not all(self.can_ask(type(each)) for each in requests.values()):
            raise cannot_ask(self, requests)
        for name, request in requests.items():
            self._add(name, request)
        with anyio.move_on_after(ANSWER_LIMIT):
            while self.pending and self.error is None:
                self._changed = anyio.Event()
                await self._changed.wait()
        if self.error is None and self.pending:
            self.error = NotAnsweredError("There was no answer in time, so nothing was sent to MAAS.")
        self.pending.clear()
        if self.error is not None:
            raise self.error
        return {name: self._answers[name] for name in requests}

    async def log(self, text: str, level: str) -> None:
        """Do nothing, because the call that requested the operation has ended."""

    def _add(self, name: str, request: ClientRequest) -> None:
        """Add a request under a key of its own: a client answers each key only once."""
        self._asked += 1
        key = f"{name}-{self._asked}"
        self.pending[key] = request
        self._names[key] = name

    def answer(self, key: str, read: Callable[[ClientRequest], BaseModel | None]) -> None:
        """Take the answer to a request. Answers to other requests are ignored.

        Args:
            key: The request's key.
            read: Reads the answer; ``None`` if it does not fit the question, which is then asked again.
        """
        request = self.pending.pop(key, None)
        if request is None:
            return
        try:
            answer = read(request)
        except MaasMcpError as error:
            self.end(error)
            return
        if answer is None:
            self._add(self._names[key], request)
        else:
            self._answers[self._names[key]] = answer
        self._changed.set()

    def end(self, error: MaasMcpError) -> None:
        """End the wait without a start."""
        self.error = self.error or error
        self._changed.set()


class WaitingOperations:
    """The operations of a process that wait for answers, and the latest ones that did not start."""

    def __init__(self) -> None:
        self._by_id: dict[tuple[str, str], WaitingOperation] = {}

    def add(
        self, principal: str, operation_id: str, client: Asker, started: int, tier: Tier = Tier.DESTROY
    ) -> WaitingOperation:
        """Add an operation.

        Raises:
            OperationRefusedError: Too many operations of this principal wait.
        """
        mine = [each for (name, _), each in self._by_id.items() if name == principal and each.error is None]
        if len(mine) >= MAX_WAITING:
            raise OperationRefusedError(
                f"{MAX_WAITING} operations already wait for the user's answers.",
                hint="Answer or cancel one of them first.",
            )
        before = self.find(principal, operation_id)
        if before is not None and before.error is None:
            raise OperationRefusedError(
                "This operation already waits for the user's answer.", hint="Answer or cancel it first."
            )
        waiting = self._by_id[principal, operation_id] = WaitingOperation(client, started, tier)
        ended = [key for key, each in self._by_id.items() if key[0] == principal and each.error is not None]
        for key in ended[: max(0, len(ended) - MAX_ENDED)]:
            del self._by_id[key]
        return waiting

    def find(self, principal: str, operation_id: str) -> WaitingOperation | None:
        """The operation, if it waits or did not start."""
        return self._by_id.get((principal, operation_id))

    def remove(self, principal: str, operation_id: str) -> None:
        """Remove an operation that has started."""
        self._by_id.pop((principal, operation_id), None)
