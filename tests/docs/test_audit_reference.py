"""The reference of the audit documents every field, and its verifier agrees with the command."""

import re
from pathlib import Path
from typing import Any

import pytest

from maas_mcp.audit.file import AuditFile
from maas_mcp.audit.lines import decode_line
from maas_mcp.audit.verification import verify
from maas_mcp.testing import MaasRegion
from tests.docs.snippets import ROOT, snippets
from tests.unit.core.audit.written import write
from tests.unit.core.calls.test_audit import Broken, Describe

PAGE = ROOT / "docs/reference/audit.md"
(VERIFIER,) = [each.text for each in snippets(PAGE) if each.language == "python"]


def documented() -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE))


def keys(line: Any) -> set[str]:
    return set(line) - {"hash", "seq", "prev", "time"}


def test_every_field_of_a_line_is_documented(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'{"seq"')
    path.chmod(0o600)
    write(path, 1)
    line = decode_line(path.read_bytes().splitlines()[-1])
    assert line is not None
    with MaasRegion() as region:
        region.call(Describe, "node01")
        found = [*region.audit, line.fields]
        with pytest.raises(Exception, match="maas_break"):
            region.call(Broken, "node01")
        found += region.audit
    assert {key for each in found for key in keys(each)} <= documented()
    assert {"seq", "prev", "time", "hash", "request", "rule", "operation_id"} <= documented()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with an incomplete line, in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "audit.jsonl"
    write(path, 2)
    path.write_bytes(path.read_bytes() + b'{"seq":3,"pre')
    write(path, 2, start=3)
    AuditFile(path).append({"event": "ended", "call": "five"})
    return path


def run() -> None:
    exec(compile(VERIFIER, str(PAGE), "exec"), {})


def test_the_verifier_of_the_page_prints_the_head_that_the_command_prints(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    assert capsys.readouterr().out == f"{verify([path]).head}\n"


def test_the_verifier_of_the_page_notices_each_changed_byte(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = path.read_bytes()
    run()
    head = capsys.readouterr().out
    for at, byte in enumerate(original[:-1]):
        path.write_bytes(original[:at] + bytes([byte ^ 1]) + original[at + 1 :])
        try:
            run()
        except AssertionError:
            continue
        assert capsys.readouterr().out != head, at  # the last line
