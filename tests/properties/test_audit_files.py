"""Files of the audit that a writer left when it was killed, at any byte of a line."""

from pathlib import Path

from maas_mcp.audit.file import head_file
from tests.unit.core.audit.written import check, fault_line, write

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
