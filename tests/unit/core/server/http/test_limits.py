"""Limits of each principal: one that sends too much is refused, and no other is."""

from contextlib import ExitStack

import anyio
import pytest

from maas_mcp.server.http.limits import BURST, PrincipalLimits, Usage
from maas_mcp.server.http.refusals import Refusal

pytestmark = pytest.mark.anyio

LIMITS = PrincipalLimits(rate=2.0, requests=3, sessions=2, idle=100.0)


def refusal(usage: Usage, name: str) -> Refusal | None:
    try:
        with usage.request(name):
            return None
    except Refusal as caught:
        return caught


async def test_a_principal_over_its_rate_is_refused_until_retry_after() -> None:
    usage = Usage(LIMITS)
    for _ in range(int(LIMITS.rate * BURST)):
        assert refusal(usage, "alice") is None

    refused = refusal(usage, "alice")

    assert refused is not None
    assert refused.status == 429
    assert refused.headers == {"Retry-After": "1"}
    assert refusal(usage, "bob") is None
    await anyio.sleep(1)
    assert refusal(usage, "alice") is None


async def test_the_average_rate_is_limited() -> None:
    usage = Usage(LIMITS)
    passed = 0
    for _ in range(1000):
        passed += refusal(usage, "alice") is None
        await anyio.sleep(0.1)

    assert passed == pytest.approx(LIMITS.rate * (100 + BURST), abs=2)


async def test_concurrent_requests_are_limited() -> None:
    usage = Usage(LIMITS)
    with ExitStack() as running:
        for _ in range(LIMITS.requests):
            running.enter_context(usage.request("alice"))
        refused = refusal(usage, "alice")
        assert refused is not None
        assert "You already have 3 running requests" in str(refused)
        assert refusal(usage, "bob") is None
    assert refusal(usage, "alice") is None


async def test_a_session_that_is_closed_or_idle_makes_room_for_another() -> None:
    usage = Usage(LIMITS)
    for session in ("one", "two"):
        usage.check_new_session("alice")
        usage.session_used("alice", session)
    with pytest.raises(Refusal, match="2 open sessions"):
        usage.check_new_session("alice")
    usage.check_new_session("bob")

    usage.session_closed("alice", "one")
    usage.check_new_session("alice")
    usage.session_used("alice", "three")

    await anyio.sleep(LIMITS.idle / 2)
    usage.session_used("alice", "three")
    await anyio.sleep(LIMITS.idle / 2)
    usage.check_new_session("alice")
