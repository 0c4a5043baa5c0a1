"""What the client sends, before the SDK acts on it: its lines, each parsed once, a cancellation, the end."""

import json
import logging
import re
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import anyio
import mcp_types as types
from anyio.abc import ObjectReceiveStream
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.jsonrpc_dispatcher import cancelled_request_id_from_params
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from pydantic import ValidationError
from pydantic_core import from_json

from maas_mcp.calls.connections import Connection

logger = logging.getLogger(__name__)

Read = SessionMessage | Exception

_ESCAPE: Final = re.compile(
    r"""\\(?: u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}  # a pair: one character
            | (?P<lone> u[dD][89a-fA-F][0-9a-fA-F]{2} )
            | . )""",
    re.VERBOSE,
)
_REPLACEMENT: Final = r"\ufffd"


class Messages(ObjectReceiveStream[Read]):
    """The messages among the client's lines, each of which is parsed once.

    A line that is none is answered if it may be a request, by its id or by ``null``, so that nobody waits for it. The
    SDK's own reader would drop it, and show a part of it in its log; and it takes a request with an id that it does not
    know for a notification.

    Args:
        lines: As they come.
        answer: Sends a message to the client.
    """

    def __init__(self, lines: AsyncIterable[str], answer: Callable[[str], Awaitable[None]]) -> None:
        self._lines = aiter(lines)
        self._answer = answer

    async def receive(self) -> SessionMessage:
        """The next message."""
        async for line in self._lines:
            if line.isspace():
                continue
            message = _message(line)
            if not isinstance(message, _Refused):
                return SessionMessage(message)
            logger.warning("dropped a line of %d characters from the client: %s", len(line), message.problem)
            if message.may_be_request:
                await self._answer(refusal(message.problem, message.request_id, message.code))
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        """Nothing: the lines are closed by those who opened them."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """A line that is no message."""

    problem: str
    """Never with a part of the line, which may be a secret."""
    request_id: str | int | None = None
    code: int = types.INVALID_REQUEST
    may_be_request: bool = True


def refusal(problem: str, request_id: str | int | None = None, code: int = types.INVALID_REQUEST) -> str:
    """The line that answers what is no message; JSON-RPC 2.0 has ``null`` for an id that could not be read."""
    error = {"code": code, "message": f"The request was not read: {problem}."}
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}) + "\n"


def _mended(line: str) -> str:
    """The line without halves of characters: JavaScript cuts emojis in two, and no JSON parser takes what is left."""
    return _ESCAPE.sub(lambda escape: _REPLACEMENT if escape["lone"] else escape[0], line)


def _message(line: str) -> types.JSONRPCMessage | _Refused:
    """The message in a line, or why there is none."""
    try:
        value = _parsed(line)
    except ValueError:
        return _Refused("it is not JSON", code=types.PARSE_ERROR)
    try:
        message = types.jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError:
        return _unlike_a_message(value)
    # A request whose id is neither text nor an integer passes for a notification.
    if isinstance(message, types.JSONRPCNotification) and "id" in value:
        return _Refused("its id is neither a string nor an integer")
    return message


def _parsed(line: str) -> Any:
    """The JSON in a line. Only one that cannot be parsed is searched for halves of characters, and parsed again."""
    try:
        return from_json(line)
    except ValueError:
        whole = _mended(line)
        if whole == line:
            raise
    return from_json(whole)


def _unlike_a_message(value: Any) -> _Refused:
    if isinstance(value, list):
        return _Refused("it is a JSON-RPC batch, which is not supported; expected one message a line")
    problem = "it is not a message of JSON-RPC 2.0"
    if not isinstance(value, dict):
        return _Refused(problem)
    found = value.get("id")
    known = isinstance(found, str | int) and not isinstance(found, bool)
    is_response = "method" not in value and bool(value.keys() & {"result", "error"})
    is_notification = "id" not in value and isinstance(value.get("method"), str)
    return _Refused(problem, found if known else None, may_be_request=not is_response and not is_notification)


class Incoming:
    """A stream of messages on their way to the SDK, which tells the calls what they should know before it acts.

    When the SDK cancels a request it does not say why: a client's wish, the end of the connection and a failure of the
    server look alike. Each message carries the connection that it came by: handlers find it in ``ctx.request``.
    """

    def __init__(self, stream: ObjectReceiveStream[Read], connection: Connection) -> None:
        self._stream = stream
        self._connection = connection

    async def receive(self) -> Read:
        """The next message."""
        try:
            item: Read = await self._stream.receive()
        except anyio.EndOfStream:
            self._connection.lost()
            raise
        return self._noted(item) if isinstance(item, SessionMessage) else item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Read:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    def _noted(self, item: SessionMessage) -> SessionMessage:
        message = item.message
        if isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            request_id = cancelled_request_id_from_params(message.params)
            if request_id is not None:
                self._connection.cancelled_by_client(coerce_request_id(request_id))
        return SessionMessage(message, ServerMessageMetadata(request_context=self._connection))

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.aclose()
