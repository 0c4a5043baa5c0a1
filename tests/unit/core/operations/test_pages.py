"""Pages: as many rows as a model can read at once, and always one."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from maas_mcp.operations.declaring.pages import BYTES_PER_TOKEN, PAGE_BYTES, estimate_tokens, fit_page

rows = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=300), max_size=3), max_size=60)


class Row(BaseModel):
    name: str = Field(serialization_alias="a_much_longer_name")


@example([{}, {}], 2, 6)
@given(rows, st.integers(1, 50), st.integers(1, 3_000))
def test_a_page_is_as_long_as_its_limits_allow(listed: list[dict[str, str]], limit: int, size: int) -> None:
    page = fit_page(listed, limit, size=size)
    assert page == listed[: len(page)]
    assert len(page) <= limit
    assert len(page) <= 1 or compact(page) <= size
    if len(page) < min(limit, len(listed)):
        assert page
        assert weight(listed[: len(page) + 1]) > size - 2


def test_a_model_counts_as_it_is_sent() -> None:
    listed = [Row(name=f"node{number:02}") for number in range(50)]
    page = fit_page(listed, 50, size=300)
    assert compact([each.model_dump(by_alias=True) for each in page]) <= 300 < 34 * (len(page) + 1)


def test_a_page_has_6000_bytes_of_rows() -> None:
    page = fit_page([{"name": "word " * 20}] * 1_000, 1_000)
    assert PAGE_BYTES - 120 < compact(page) <= PAGE_BYTES


@pytest.mark.parametrize("name", ["9c:6b:00:4f:a1:33", "4y3h7n", "10.0.3.7", "\u0416\u0416\u0416\u0416"])
def test_a_page_of_addresses_has_fewer_bytes(name: str) -> None:
    page = fit_page([{"names": [name] * 10}] * 1_000, 1_000)
    assert compact(page) < PAGE_BYTES * 0.9


def test_rows_after_the_page_are_not_created() -> None:
    created = []

    def rows() -> Iterator[dict[str, int]]:
        for number in range(100):
            created.append(number)
            yield {"number": number}

    assert len(fit_page(rows(), 3)) == 3
    assert len(created) <= 4


def weight(listed: list[dict[str, str]]) -> float:
    tokens = sum(estimate_tokens(json.dumps(each, separators=(",", ":"), ensure_ascii=False)) for each in listed)
    return max(compact(listed), tokens * BYTES_PER_TOKEN)


def compact(listed: object) -> int:
    return len(json.dumps(listed, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))
