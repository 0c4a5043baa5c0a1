"""Levels of log messages belong to a principal's session, even where a client may choose the session id itself."""

from types import SimpleNamespace
from typing import cast

import mcp_types as types
import pytest
from starlette.requests import Request

from maas_mcp.calls.connections import Connection
from maas_mcp.calls.principal import Principal, Scope
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.request_context import CONNECTION, Context

pytestmark = pytest.mark.anyio


class Session:
    """Records the messages to one client."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    async def send_notification(self, notification: types.ServerNotification, _request_id: object) -> None:
        self.sent.append(notification)


def request_of(name: str, session: Session, session_id: bytes | None) -> Context:
    headers = [] if session_id is None else [(b"mcp-session-id", session_id)]
    connection = Connection(Principal(name, frozenset(Scope)))
    request = Request({"type": "http", "headers": headers, CONNECTION: connection})
    found = SimpleNamespace(request=request, session=session, request_id=1, protocol_version="2025-11-25")
    return cast(Context, found)


@pytest.mark.parametrize("session_id", [None, b"chosen"])
async def test_a_level_of_one_principal_silences_no_other(session_id: bytes | None) -> None:
    log, alice, bob = ClientLog(), Session(), Session()
    params = types.SetLevelRequestParams(level="emergency")
    await log._set_level(request_of("bob", bob, session_id), params)

    for name, session in (("alice", alice), ("bob", bob)):
        await log.send(request_of(name, session, session_id), "Warning", "warning")

    assert len(alice.sent) == 1
    assert bob.sent == []
