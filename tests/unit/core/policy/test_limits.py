"""Limits count different machines: per call, per hour and at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.policy.configuration import Policy
from maas_mcp.policy.limits import Limit, Usage, exceeded, limits_of

MACHINES = st.frozensets(st.sampled_from("abcdefgh"))


@pytest.mark.parametrize(
    ("limit", "usage", "machines", "more", "parts"),
    [
        (Limit(per_call=2), Usage(), "ab", 0, []),
        (Limit(per_call=2), Usage(), "ab", 1, ["per_call"]),
        (Limit(per_call=0), Usage(), "a", 0, ["per_call"]),
        (Limit(per_hour=2), Usage(last_hour=frozenset("ab")), "ab", 0, []),
        (Limit(per_hour=2), Usage(last_hour=frozenset("ab")), "bc", 0, ["per_hour"]),
        (Limit(per_hour=2), Usage(last_hour=frozenset("a")), "", 2, ["per_hour"]),
        (Limit(at_once=1), Usage(last_hour=frozenset("a")), "b", 0, []),
        (Limit(at_once=1), Usage(busy=frozenset("a")), "b", 0, ["at_once"]),
        (Limit(), Usage(frozenset("abcd"), frozenset("abcd")), "efgh", 9, []),
    ],
)
def test_a_limit_refuses_what_goes_beyond_it(
    limit: Limit, usage: Usage, machines: str, more: int, parts: list[str]
) -> None:
    assert [part for part, _reason in exceeded(limit, usage, machines, more)] == parts


@given(st.integers(0, 8), MACHINES, MACHINES, st.integers(0, 4))
def test_an_allowed_call_never_leads_beyond_the_limit(
    most: int, used: frozenset[str], machines: frozenset[str], more: int
) -> None:
    refused = list(exceeded(Limit(per_hour=most), Usage(last_hour=used), machines, more))

    reached = len(used | machines) + more
    assert bool(refused) is (reached > max(most, len(used)))


def test_an_erase_counts_for_two_limits() -> None:
    assert limits_of("release", erases=True) == ("release", "erase")
    assert limits_of("erase", erases=True) == ("erase",)
    assert limits_of("", erases=False) == ()


def test_a_site_replaces_one_limit_and_keeps_the_others() -> None:
    assert Policy().limit("erase").per_hour == 20
    assert Policy(limits={"deploy": Limit(at_once=3)}).limit("erase").per_hour == 20
    assert Policy(limits={"erase": Limit(per_call=1)}).limit("erase") == Limit(per_call=1)
    assert Policy().limit("deploy") == Limit()
