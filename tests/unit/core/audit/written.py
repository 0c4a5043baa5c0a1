"""Audit files that the tests write, and how they are verified."""

from pathlib import Path
from typing import Any

from maas_mcp.audit.file import AuditFile, head_file
from maas_mcp.audit.lines import Head
from maas_mcp.audit.verification import Verification, verify


def fields(number: int) -> dict[str, Any]:
    return {"event": "refused", "call": f"call {number}", "tool": "maas_deploy_machine", "rule": "not_answered"}


def write(path: Path, count: int, start: int = 1) -> None:
    """Append lines, as a new process would."""
    file = AuditFile(path, now=lambda: 1_795_000_000.0)  # equal fields make equal lines
    for number in range(start, start + count):
        file.append(fields(number))
    file.close()


def check(*paths: Path, stored: Head | None = None) -> Verification:
    """Verify files with the head file next to the last one, as the command does."""
    head = head_file(paths[-1])
    recorded = Head.parse(head.read_text()) if head.exists() else None
    return verify(paths, recorded=recorded, stored=stored)


def fault_line(*paths: Path) -> int | None:
    """The number of the line that the verification names."""
    fault = check(*paths).fault
    return None if fault is None else fault.line
