"""Cursors: any process with the secret continues from them, and nobody else's, changed or invented ones are opened."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.errors import InvalidArgumentsError, PluginError
from maas_mcp.operations.cursors import MAX_LENGTH, NOT_OFFERED, PURPOSE, Cursors
from maas_mcp.operations.signing import Signer, derive_keys

OLD, NEW = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"
POSITION = {"after": ["node12", "4y3h7n"], "sort": "hostname"}


def cursors(context: str = "list kim", secrets: Sequence[bytes] = (OLD,)) -> Cursors:
    return Cursors(lambda: Signer(derive_keys(secrets, PURPOSE), context))


positions = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
    ),
    max_size=4,
)


@given(positions)
def test_a_position_survives_a_round_trip(position: dict[str, Any]) -> None:
    assert cursors().open(cursors().seal(position)) == position


def test_a_cursor_is_short() -> None:
    assert len(cursors().seal(POSITION)) < 100


@given(st.text(max_size=300))
def test_any_other_text_is_refused_with_advice(text: str) -> None:
    with pytest.raises(InvalidArgumentsError, match="`next_cursor`") as caught:
        cursors().open(text)
    assert "without `cursor`" in (caught.value.hint or "")


@given(st.data())
def test_a_changed_cursor_is_refused(data: st.DataObject) -> None:
    cursor = cursors().seal(POSITION)
    place = data.draw(st.integers(0, len(cursor) - 1))
    character = data.draw(st.sampled_from("abcXYZ019-_.").filter(lambda each: each != cursor[place]))
    with pytest.raises(InvalidArgumentsError):
        cursors().open(cursor[:place] + character + cursor[place + 1 :])


@pytest.mark.parametrize("context", ["list bob", "find kim", ""])
def test_a_cursor_of_another_tool_user_or_region_is_refused(context: str) -> None:
    with pytest.raises(InvalidArgumentsError):
        cursors(context).open(cursors().seal(POSITION))


def test_a_cursor_stays_valid_while_its_secret_is_in_the_ring() -> None:
    cursor = cursors().seal(POSITION)
    assert cursors(secrets=(NEW, OLD)).open(cursor) == POSITION
    with pytest.raises(InvalidArgumentsError):
        cursors(secrets=(NEW,)).open(cursor)
    with pytest.raises(InvalidArgumentsError):
        cursors().open(cursors(secrets=(NEW, OLD)).seal(POSITION))


def test_a_very_long_text_is_refused() -> None:
    with pytest.raises(InvalidArgumentsError):
        cursors().open("a" * (MAX_LENGTH + 1))


@pytest.mark.parametrize("position", [{"after": "x" * 4_000}, {"after": object()}, {"after": float("nan")}])
def test_a_position_that_fits_into_no_cursor_is_a_bug_in_the_plugin(position: dict[str, Any]) -> None:
    with pytest.raises(PluginError):
        cursors().seal(position)


def test_an_operation_has_no_cursors() -> None:
    with pytest.raises(PluginError, match="is not available here"):
        NOT_OFFERED.seal(POSITION)
