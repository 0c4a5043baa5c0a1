"""The kinds of endpoints, by which requests to MAAS are counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.maas.observer import COLLECTIONS, endpoint_of


@pytest.mark.parametrize(
    ("path", "op", "endpoint"),
    [
        ("machines/", None, "machines/"),
        ("machines/4y3h7n/", "deploy", "machines/{id}/?op=deploy"),
        ("nodes/4y3h7n/blockdevices/7/partition/2/", None, "nodes/{id}/blockdevices/{id}/partition/{id}/"),
        ("license-keys/windows/win2012/", None, "license-keys/{id}/{id}/"),
        ("machines/4y3h7n/", "ops\nwith secrets", "machines/{id}/"),
    ],
)
def test_names_and_ids_are_not_part_of_an_endpoint(path: str, op: str | None, endpoint: str) -> None:
    assert endpoint_of(path, op) == endpoint


@given(st.lists(st.text(min_size=1).filter(lambda text: "/" not in text), min_size=1, max_size=6))
def test_no_word_that_a_caller_invents_becomes_a_part_of_an_endpoint(words: list[str]) -> None:
    parts = endpoint_of("/".join(words) + "/", None).removesuffix("/").split("/")
    assert set(parts) <= COLLECTIONS | {"{id}"}
