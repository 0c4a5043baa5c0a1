"""A writer may be killed at any byte: the next one continues, and the verification accepts the file."""

from pathlib import Path

from maas_mcp.audit.file import AuditFile, head_file
from maas_mcp.audit.lines import Head
from tests.unit.core.audit.written import check, fault_line, fields, write

LINES = 4


def test_the_file_may_be_cut_at_every_byte_of_its_last_two_lines(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    heads = {}
    for number in range(1, LINES + 1):
        write(path, 1, start=number)
        heads[number] = head_file(path).read_bytes()
    content = path.read_bytes()
    ends = [at for at, byte in enumerate(content) if byte == 0x0A]
    for cut in range(ends[LINES - 3] + 1, len(content) + 1):
        complete = content[:cut].count(b"\n")
        torn = content[:cut].rpartition(b"\n")[2]
        for behind in range(2):  # killed before or after the head file was written
            case = tmp_path / f"{cut}-{behind}.jsonl"
            case.write_bytes(content[:cut])
            case.chmod(0o600)
            head_file(case).write_bytes(heads[complete - behind])
            head_file(case).chmod(0o600)
            before = check(case)
            write(case, 2, start=20)
            after = check(case)
            assert (before.fault, after.fault) == (None, None), cut
            is_whole = cut in ends  # only its newline is missing
            assert after.torn == (0 if is_whole or not torn else 1), cut
            assert after.lines == complete + is_whole + 2
            if after.torn:
                check_torn_line_is_protected(case, len(torn))


def check_torn_line_is_protected(path: Path, length: int) -> None:
    """Check that a change in the torn line is noticed, although it is no line."""
    content = bytearray(path.read_bytes())
    lines = content.splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if len(line) == length + 1)
    start = sum(map(len, lines[:number]))
    content[start + length // 2] ^= 1
    path.write_bytes(content)
    assert fault_line(path) == number + 1


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
