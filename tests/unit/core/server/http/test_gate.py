"""The gate: what it lets through, and what arrives behind it."""

import json
from collections.abc import AsyncIterator

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from maas_mcp.calls.connections import Connections
from maas_mcp.server.http.gate import BodyLimits, Gate
from maas_mcp.server.http.limits import PrincipalLimits, Usage

pytestmark = pytest.mark.anyio

HEADERS = {"host": "127.0.0.1", "content-type": "application/json", "authorization": "Bearer x", "x-custom": "kept"}


class Behind:
    """The application behind the gate."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.status = 200

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def usage() -> Usage:
    return Usage(PrincipalLimits(rate=100, requests=10, sessions=10, idle=100))


@pytest.fixture
def gate(behind: Behind, usage: Usage) -> Gate:
    limits = BodyLimits(size=1000, seconds=30)
    return Gate(behind, Connections(), path="/mcp", open_paths=["/healthz"], limits=limits, usage=usage)


async def answered(gate: Gate, body: AsyncIterator[bytes], **headers: str) -> tuple[int, str]:
    """The status and the text of the answer to a request whose body arrives in parts."""
    sent: list[Message] = []
    given = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}

    async def receive() -> Message:
        part = await anext(body, None)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
    }
    await gate(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in sent).decode()
    return sent[0]["status"], json.loads(text).get("error", {}).get("message", "")


async def parts(*bodies: bytes, pause: float = 0.0) -> AsyncIterator[bytes]:
    for body in bodies:
        await anyio.sleep(pause)
        yield body


async def test_a_body_that_arrives_too_slowly_is_refused_after_its_time(gate: Gate, behind: Behind) -> None:
    began = anyio.current_time()

    status, text = await answered(gate, parts(*[b"x"] * 100, pause=1))

    assert status == 408
    assert "within 30 s" in text
    assert anyio.current_time() - began == pytest.approx(30, abs=1)
    assert behind.scopes == []


async def test_a_body_that_is_slow_and_arrives_in_time_is_passed_on(gate: Gate, behind: Behind) -> None:
    assert (await answered(gate, parts(b"{", b"}", pause=10)))[0] == 200
    assert len(behind.scopes) == 1


async def test_a_body_without_a_length_is_refused_at_the_limit(gate: Gate, behind: Behind) -> None:
    status, text = await answered(gate, parts(*[b"x" * 100] * 1000))

    assert (status, behind.scopes) == (413, [])
    assert "1,000 bytes" in text


async def test_credentials_do_not_reach_the_application(gate: Gate, behind: Behind) -> None:
    await answered(gate, parts(b"{}"), x_maas_proxy_secret="a secret")

    [scope] = behind.scopes
    names = {name for name, _ in scope["headers"]}
    assert names == {b"host", b"content-type", b"x-custom"}


async def test_a_maas_api_key_without_authentication_is_refused(gate: Gate, behind: Behind) -> None:
    status, text = await answered(gate, parts(b"{}"), x_maas_api_key="a:b:c")

    assert (status, behind.scopes) == (403, [])
    assert "a trusted proxy only" in text


@pytest.mark.parametrize("status", [400, 404, 421])
async def test_a_made_up_session_id_is_not_counted_as_a_session(
    gate: Gate, behind: Behind, usage: Usage, status: int
) -> None:
    behind.status = status
    for number in range(20):
        assert (await answered(gate, parts(b"{}"), mcp_session_id=f"made-up-{number}"))[0] == status

    assert usage.open_sessions() == 0
    behind.status = 200
    await answered(gate, parts(b"{}"), mcp_session_id="real")
    assert usage.open_sessions() == 1
