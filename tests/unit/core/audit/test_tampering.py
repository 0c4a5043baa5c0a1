"""Every change of an audit file is noticed, and the first affected line is named."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.audit.file import head_file
from maas_mcp.audit.lines import Head, decode_line
from tests.unit.core.audit.written import check, fault_line, write

LINES = 6
TORN = b'{"seq":4,"prev":"1234'


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A file of six lines with an incomplete one after the third, and its head file."""
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    write(path, 3)
    path.write_bytes(path.read_bytes() + TORN)
    write(path, LINES - 3, start=4)
    assert check(path).fault is None
    return path.read_bytes(), head_file(path).read_bytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, content: tuple[bytes, bytes]) -> Path:
    """A file for the changed lines, next to the head file."""
    path = tmp_path_factory.mktemp("changed") / "audit.jsonl"
    head_file(path).write_bytes(content[1])
    return path


def named(first: int) -> set[int]:
    """The lines that the verification may name: the fourth is incomplete, and only the fifth shows that."""
    return {4, 5} if first == 5 else {first}


def test_the_unchanged_file_is_accepted_with_its_incomplete_line(path: Path, content: tuple[bytes, bytes]) -> None:
    path.write_bytes(content[0])
    found = check(path)
    assert (found.fault, found.first, found.lines, found.torn) == (None, 1, LINES, 1)
    assert found.head == Head.parse(content[1].decode())


@given(data=st.data())
def test_a_changed_byte_is_named_with_its_line(path: Path, content: tuple[bytes, bytes], data: st.DataObject) -> None:
    original = content[0]
    at = data.draw(st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != original[at]))
    path.write_bytes(original[:at] + bytes([byte]) + original[at + 1 :])
    assert fault_line(path) == original[:at].count(b"\n") + 1


def test_every_byte_counts(path: Path, content: tuple[bytes, bytes]) -> None:
    original = content[0]
    path.write_bytes(original)
    with path.open("r+b", buffering=0) as file:
        for at, byte in enumerate(original):
            os.pwrite(file.fileno(), bytes([byte ^ 1]), at)
            assert fault_line(path) == original[:at].count(b"\n") + 1, at
            os.pwrite(file.fileno(), bytes([byte]), at)
    assert fault_line(path) is None


@given(data=st.data())
def test_a_removed_line_is_named_where_it_was(path: Path, content: tuple[bytes, bytes], data: st.DataObject) -> None:
    lines = content[0].splitlines(keepends=True)
    removed = data.draw(st.integers(0, len(lines) - 1))
    path.write_bytes(b"".join(lines[:removed] + lines[removed + 1 :]))
    assert fault_line(path) in named(removed + 1)


@given(data=st.data())
def test_lines_removed_at_the_end_are_noticed(path: Path, content: tuple[bytes, bytes], data: st.DataObject) -> None:
    lines = content[0].splitlines(keepends=True)
    kept = data.draw(st.integers(0, len(lines) - 1))
    path.write_bytes(b"".join(lines[:kept]))
    assert fault_line(path) in named(kept + 1)


@given(data=st.data())
def test_of_two_swapped_lines_the_first_is_named(path: Path, content: tuple[bytes, bytes], data: st.DataObject) -> None:
    lines = content[0].splitlines(keepends=True)
    first, second = sorted(data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=2, max_size=2)))
    lines[first], lines[second] = lines[second], lines[first]
    path.write_bytes(b"".join(lines))
    assert fault_line(path) in named(first + 1)


@given(data=st.data())
def test_a_repeated_line_is_named(path: Path, content: tuple[bytes, bytes], data: st.DataObject) -> None:
    lines = content[0].splitlines(keepends=True)
    copied, to = data.draw(st.integers(0, 2)), data.draw(st.integers(4, len(lines)))
    path.write_bytes(b"".join([*lines[:to], lines[copied], *lines[to:]]))
    assert fault_line(path) in named(to + 1)


def test_a_line_replaced_with_a_right_hash_breaks_the_chain_after_it(tmp_path: Path) -> None:
    path, other = tmp_path / "audit.jsonl", tmp_path / "other.jsonl"
    write(path, 4)
    write(other, 1)
    write(other, 3, start=20)  # another history with the same numbers
    lines, replaced = path.read_bytes().splitlines(keepends=True), other.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:1], replaced[1], *lines[2:]]))
    assert fault_line(path) == 3
    path.write_bytes(b"".join([*lines[:1], *replaced[1:]]))  # up to the end: only the head file shows it
    assert fault_line(path) == 4


def test_removing_the_last_lines_is_noticed_after_the_server_has_written_more(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    write(path, 2, start=5)
    fault = check(path).fault
    assert fault is not None
    assert (fault.line, "has number 5; expected 3" in fault.problem) == (3, True)


@pytest.mark.parametrize("at", [0, 100, -10])
def test_a_changed_last_line_is_not_recorded_as_incomplete(tmp_path: Path, at: int) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 3)
    content = bytearray(path.read_bytes())
    start = content.rindex(b"\n", 0, -1) + 1
    content[start + at if at >= 0 else at] ^= 1
    path.write_bytes(content)
    write(path, 2, start=4)
    assert fault_line(path) == 3


def test_a_head_stored_elsewhere_shows_that_the_whole_file_written_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 3)
    stored = check(path).head
    write(path, 2, start=4)
    assert check(path, stored=stored).fault is None
    for each in (path, head_file(path)):
        each.unlink()
    write(path, 2, start=10)
    too_short = check(path, stored=stored).fault
    write(path, 2, start=12)
    replaced = check(path, stored=stored).fault
    assert too_short is not None
    assert "number 3 of the stored head is not in the files" in too_short.problem
    assert replaced is not None
    assert (replaced.line, replaced.problem) == (3, "was replaced: it does not have the hash of the stored head")


def test_without_a_head_file_a_changed_last_line_is_still_named(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 2)
    head_file(path).unlink()
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert fault_line(path) == 2


def test_a_file_of_another_kind_is_refused_at_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "messages"
    path.write_text("started\n" * 1000)
    assert fault_line(path) == 1


def test_a_line_is_json_whose_hash_covers_its_own_bytes(content: tuple[bytes, bytes]) -> None:
    first = content[0].splitlines()[0]
    line = decode_line(first)
    assert line is not None
    assert line.fields["tool"] == "maas_deploy_machine"
    assert decode_line(first.replace(b'"seq":1', b'"seq": 1')) is None
