"""Lines from the client: each one is parsed once, and is a message or gets an error response."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage

from maas_mcp.server import incoming
from maas_mcp.server.incoming import Messages

pytestmark = pytest.mark.anyio


async def listed(lines: list[str]) -> AsyncIterator[str]:
    for line in lines:
        yield line


async def read(*lines: str) -> tuple[list[types.JSONRPCMessage], list[Any]]:
    """The messages in the lines, and the responses to invalid lines."""
    answers: list[Any] = []

    async def answer(line: str) -> None:
        answers.append(json.loads(line))

    messages = []
    async with Messages(listed(list(lines)), answer) as stream:
        async for item in stream:
            assert isinstance(item, SessionMessage)
            messages.append(item.message)
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
    return messages, answers


REQUEST = '{"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"name": "%s"}}\n'
CANCELLED = '{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}\n'


@pytest.mark.parametrize(
    "line",
    [
        REQUEST % "plain",
        CANCELLED,
        '{"jsonrpc": "2.0", "id": 1.5, "method": "tools/list"}\n',
        '{"jsonrpc": "2.0", "id": 7, "method": 5}\n',
        "[]\n",
    ],
)
async def test_a_line_is_parsed_once(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def parse(text: str) -> Any:
        parsed.append(text)
        return json.loads(text)

    monkeypatch.setattr(incoming, "from_json", parse)
    monkeypatch.setattr(type(types.jsonrpc_message_adapter), "validate_json", lambda *_, **__: pytest.fail("again"))

    messages, answers = await read(line)

    assert len(messages) + len(answers) == 1
    assert parsed == [line]


async def test_messages_keep_their_sequence_and_blank_lines_are_skipped() -> None:
    messages, answers = await read(REQUEST % "first", "\n", " \r\n", CANCELLED, REQUEST % "last")

    assert [type(each).__name__ for each in messages] == ["JSONRPCRequest", "JSONRPCNotification", "JSONRPCRequest"]
    assert answers == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\ud83d", "\ufffd"),
        (r"\ude00", "\ufffd"),
        (r"\uD83D\ude00", "\U0001f600"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    ],
)
async def test_a_lone_surrogate_is_replaced_and_everything_else_stays(written: str, meant: str) -> None:
    (message,), answers = await read(REQUEST % written)

    assert isinstance(message, types.JSONRPCRequest)
    assert message.params == {"name": meant}
    assert answers == []


@pytest.mark.parametrize("depth", [100, 150, 195, 200, 1_000, 100_000])
async def test_a_line_of_any_depth_is_a_message_or_answered(depth: int) -> None:
    line = (REQUEST % "deep").replace('"deep"', "[" * depth + "]" * depth)

    messages, answers = await read(line, REQUEST % "the next one")

    assert len(messages) == 2 - len(answers)
    assert [answer["error"]["code"] for answer in answers] == [-32700] * len(answers)
    assert bool(answers) is (depth > 195)


async def test_a_request_that_is_nested_too_deeply_is_answered_with_its_id() -> None:
    line = (REQUEST % "deep").replace('"deep"', "[" * 300 + "]" * 300)

    _, (answer,) = await read(line)

    assert answer["id"] == 7
    assert answer["error"]["message"] == "The request could not be read: its values are nested too deeply."


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=10,
)
MEMBERS = {
    "id": st.integers() | st.text(max_size=5) | VALUES,
    "method": st.sampled_from(["tools/call", "notifications/cancelled", "ping"]) | VALUES,
    "params": st.dictionaries(st.text(max_size=5), VALUES, max_size=3) | VALUES,
    "result": st.dictionaries(st.text(max_size=5), VALUES, max_size=3) | VALUES,
    "error": st.just({"code": 1, "message": "no"}) | VALUES,
}
ENVELOPES = st.fixed_dictionaries({"jsonrpc": st.just("2.0")}, optional=MEMBERS)


@given(ENVELOPES)
async def test_a_line_is_parsed_as_the_sdk_parses_it(envelope: dict[str, Any]) -> None:
    line = json.dumps(envelope) + "\n"
    messages, _ = await read(line)

    for message in messages:
        assert message == types.jsonrpc_message_adapter.validate_json(line, by_name=False)


@given(ENVELOPES | VALUES)
async def test_a_line_is_never_both_a_message_and_answered(value: Any) -> None:
    messages, answers = await read(json.dumps(value) + "\n")

    assert len(messages) + len(answers) <= 1
