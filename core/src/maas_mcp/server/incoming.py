"""The client's messages before the SDK handles them: parses lines, notes cancellations and the end of input."""

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
    r"""\\(?: u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}  # a surrogate pair
            | (?P<lone> u[dD][89a-fA-F][0-9a-fA-F]{2} )
            | . )""",
    re.VERBOSE,
)
_REPLACEMENT: Final = r"\ufffd"


class Messages(ObjectReceiveStream[Read]):
    """Parses the client's lines into messages, each line once.

    An invalid line that may be a request gets an error response with its id, or ``null``, so that the client does not
    wait. The SDK's own reader would drop the line and log a part of it. It would also treat a request with an invalid
    id as a notification.

    Args:
        lines: The client's lines.
        answer: Sends a line to the client.
    """

    def __init__(self, lines: AsyncIterable[str], answer: Callable[[str], Awaitable[None]]) -> None:
        self._lines = aiter(lines)
        self._answer = answer

    async def receive(self) -> SessionMessage:
        """The next message."""
        async for line in self._lines:
            if line.isspace():
                continue
            message = _parse_message(line)
            if not isinstance(message, _InvalidLine):
                return SessionMessage(message)
            logger.warning("dropped a line of %d characters from the client: %s", len(line), message.problem)
            if message.may_be_request:
                await self._answer(error_line(message.problem, message.request_id, message.code))
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        """Do nothing. The code that opened the lines closes them."""


@dataclass(frozen=True, slots=True)
class _InvalidLine:
    """An invalid line."""

    problem: str
    """Never contains a part of the line, which may be secret."""
    request_id: str | int | None = None
    code: int = types.INVALID_REQUEST
    may_be_request: bool = True


def error_line(problem: str, request_id: str | int | None = None, code: int = types.INVALID_REQUEST) -> str:
    """The error response to an invalid line. JSON-RPC 2.0 uses ``null`` for an unreadable id."""
    error = {"code": code, "message": f"The request could not be read: {problem}."}
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}) + "\n"


def _replace_lone_surrogates(line: str) -> str:
    """Replace lone surrogates. JavaScript may cut an emoji in two, and JSON parsers reject the halves."""
    return _ESCAPE.sub(lambda escape: _REPLACEMENT if escape["lone"] else escape[0], line)


def _parse_message(line: str) -> types.JSONRPCMessage | _InvalidLine:
    """The message in a line, or the reason why the line is invalid."""
    try:
        value = _parse_json(line)
    except ValueError as error:
        if "recursion limit" in str(error):
            return _InvalidLine("its values are nested too deeply", _find_id(line), types.PARSE_ERROR)
        return _InvalidLine("it is not JSON", code=types.PARSE_ERROR)
    try:
        message = types.jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError:
        return _explain_invalid_message(value)
    # The adapter reads a request with an id of another type as a notification.
    if isinstance(message, types.JSONRPCNotification) and "id" in value:
        return _InvalidLine("its id is neither a string nor an integer")
    return message


def _parse_json(line: str) -> Any:
    """Parse the JSON in a line. If that fails, replace lone surrogates and parse again."""
    try:
        return from_json(line)
    except ValueError:
        whole = _replace_lone_surrogates(line)
        if whole == line:
            raise
    return from_json(whole)


def _find_id(line: str) -> str | int | None:
    """The id of a message that is nested too deeply, so that its client does not wait for a response."""
    try:
        value = json.loads(line)  # takes five times as many levels as the fast parser
    except (ValueError, RecursionError):
        return None
    return _valid_id(value) if isinstance(value, dict) else None


def _valid_id(message: dict[str, Any]) -> str | int | None:
    found = message.get("id")
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None


def _explain_invalid_message(value: Any) -> _InvalidLine:
    if isinstance(value, list):
        return _InvalidLine("it is a JSON-RPC batch, which is not supported; send one message per line")
    problem = "it is not a JSON-RPC 2.0 message"
    if not isinstance(value, dict):
        return _InvalidLine(problem)
    is_response = "method" not in value and bool(value.keys() & {"result", "error"})
    is_notification = "id" not in value and isinstance(value.get("method"), str)
    return _InvalidLine(problem, _valid_id(value), may_be_request=not is_response and not is_notification)


class Incoming:
    """A stream of messages for the SDK that first announces to running calls why they will be cancelled.

    The SDK cancels a request without a reason: a client's cancellation, a lost connection and a server failure are the
    same to it. Each message carries its connection, which handlers find in ``ctx.request``.
    """

    def __init__(self, stream: ObjectReceiveStream[Read], connection: Connection) -> None:
        self._stream = stream
        self._connection = connection

    async def receive(self) -> Read:
        """The next message."""
        try:
            item: Read = await self._stream.receive()
        except anyio.EndOfStream:
            self._connection.announce_lost()
            raise
        return self._with_connection(item) if isinstance(item, SessionMessage) else item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Read:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    def _with_connection(self, item: SessionMessage) -> SessionMessage:
        message = item.message
        if isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            request_id = cancelled_request_id_from_params(message.params)
            if request_id is not None:
                self._connection.announce_client_cancel(coerce_request_id(request_id))
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
