"""A writer may be killed at any byte: the next one continues, and the verification accepts the file."""

from pathlib import Path

from maas_mcp.audit.file import AuditFile, head_file
from maas_mcp.audit.lines import Head
from tests.unit.core.audit.written import check, fault_line, fields, write


def test_two_writers_killed_after_each_other_are_one_incomplete_text(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 1)
    for torn in (b'{"seq":2,"pr', b'\n{"seq":2,"prev":"00', b"\n"):  # the last one wrote only the newline
        path.write_bytes(path.read_bytes() + torn)
        assert check(path).fault is None
    write(path, 1, start=2)
    found = check(path)
    assert (found.fault, found.lines, found.torn) == (None, 2, 1)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *lines[2:]]))
    assert fault_line(path) == 2


def test_the_first_line_of_all_may_be_torn(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'{"seq":1,"prev"')
    path.chmod(0o600)
    write(path, 2)
    found = check(path)
    assert (found.fault, found.first, found.torn) == (None, 1, 1)


def test_a_head_file_that_is_behind_is_caught_up(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 2)
    behind = head_file(path).read_bytes()
    write(path, 1, start=3)
    head_file(path).write_bytes(behind)
    assert check(path).fault is None
    write(path, 1, start=4)
    assert check(path).fault is None
    assert Head.parse(head_file(path).read_text()) == check(path).head


def test_a_call_without_an_outcome_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path)
    for call in ("one", "two"):
        file.append({"event": "admitted", "call": call})
    file.append({"event": "ended", "call": "one"})
    file.append(fields(4))
    assert check(path).open_calls == {"two": 2}
    file.close()
