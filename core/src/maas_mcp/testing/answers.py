"""The answers of a test's client to the questions of a tool."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from maas_mcp.errors import NotAnsweredError
from maas_mcp.operations.declaring.questions import ClientRequest, Question, cannot_ask


class Answers:
    """Answers each request by its key, and declines those without an answer.

    Args:
        by_key: The answers; ``None`` for a client that cannot be asked.
    """

    def __init__(self, by_key: Mapping[str, BaseModel] | None) -> None:
        self._by_key = by_key
        self.asked: dict[str, ClientRequest] = {}
        """The requests, by their keys."""

    def can_ask(self, kind: type[Any] = Question) -> bool:  # noqa: ARG002 - all kinds are alike here
        """Whether there are answers."""
        return self._by_key is not None

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, BaseModel]:
        """Return the answers.

        Raises:
            NotAnsweredError: One has no answer.
        """
        if self._by_key is None:
            raise cannot_ask(self, requests)
        self.asked.update(requests)
        if not requests.keys() <= self._by_key.keys():
            raise NotAnsweredError("The user declined, so nothing was sent to MAAS.")
        return {key: self._by_key[key] for key in requests}

    async def log(self, text: str, level: str) -> None:
        """Discard a log message."""
