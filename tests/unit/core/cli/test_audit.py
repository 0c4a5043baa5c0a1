"""``maas-mcp audit verify``."""

import gzip
from pathlib import Path

from maas_mcp.audit.file import AuditFile, head_file
from maas_mcp.audit.lines import Head
from tests.unit.core.audit.written import check, write
from tests.unit.core.cli.test_commands import invoke


def test_an_intact_audit_is_reported_with_its_head(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 3)
    result = invoke("audit", "verify", MAAS_MCP_STATE_DIR=str(tmp_path))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"Intact: 3 lines, from number 1 to 3.\nHead: {check(path).head}\n"


def test_a_changed_line_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 3)
    path.write_text(path.read_text().replace("call 2", "call 7"))
    result = invoke("audit", "verify", str(path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Not intact: {path}, line 2: was changed.\n"


def test_rotated_files_are_verified_in_any_order_with_the_names_of_a_pattern(tmp_path: Path) -> None:
    path, older, old = (tmp_path / name for name in ("audit.jsonl", "audit.jsonl.2.gz", "audit.jsonl.1"))
    write(path, 2)
    older.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    write(path, 2, start=3)
    path.rename(old)
    write(path, 1, start=5)
    every = [str(each) for each in (path, old, older, head_file(path))]
    assert "Intact: 5 lines, from number 1 to 5.\n" in invoke("audit", "verify", *every).stdout
    current = invoke("audit", "verify", str(path)).stdout
    assert "Intact: 1 lines, from number 5 to 5.\nNumbers 1 to 4 are in earlier files" in current
    missing = invoke("audit", "verify", str(path), str(older))
    assert f"Not intact: {path}, line 1: has number 5; expected 3." in " ".join(missing.stderr.split())


def test_a_stored_head_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 2)
    stored = str(check(path).head)
    write(path, 1, start=3)
    assert invoke("audit", "verify", str(path), "--head", stored).exit_code == 0
    other = invoke("audit", "verify", str(path), "--head", str(Head(2, "0" * 64)))
    assert "line 2: was replaced: it does not have the hash of the stored head" in other.stderr
    later = invoke("audit", "verify", str(path), "--head", str(Head(9, "0" * 64)))
    assert "number 9 of the stored head is not in the files" in later.stderr
    wrong = invoke("audit", "verify", str(path), "--head", "12")
    assert wrong.exit_code == 2
    assert "expected a number, a colon and 64 hexadecimal digits" in " ".join(wrong.stderr.split())


def test_incomplete_lines_and_calls_without_an_outcome_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path)
    file.append({"event": "admitted", "call": "one"})
    path.write_bytes(path.read_bytes() + b'{"seq":2')
    assert "The last line is incomplete (8 bytes)" in invoke("audit", "verify", str(path)).stdout
    file.append({"event": "admitted", "call": "two"})
    head_file(path).unlink()
    shown = " ".join(invoke("audit", "verify", str(path)).stdout.split())
    assert "Incomplete lines of killed servers, which the lines after them record: 1." in shown
    assert "Calls without an outcome, because they are running or their server was killed: 1, 2." in shown
    assert "There is no head file. Pass `--head` to notice lines that were removed at the end." in shown


def test_an_audit_without_lines_is_no_error(tmp_path: Path) -> None:
    result = invoke("audit", "verify", MAAS_MCP_STATE_DIR=str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "The audit has no lines yet.\n")


def test_without_an_audit_files_must_be_named() -> None:
    result = invoke("audit", "verify", MAAS_MCP_AUDIT="off")
    assert result.exit_code == 2
    assert "MAAS_MCP_AUDIT is off, so there is no current audit file." in result.stderr


def test_a_removed_file_is_noticed_by_its_head(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 2)
    path.unlink()
    result = invoke("audit", "verify", MAAS_MCP_AUDIT=str(path))
    assert result.exit_code == 1
    assert f"{path} does not exist, but the head file shows that numbers up to 2 were written." in " ".join(
        result.stderr.split()
    )
