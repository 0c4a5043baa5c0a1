"""An audit file that several writers append to, that is rotated, and that cannot be written."""

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from maas_mcp.audit import file as audit_file
from maas_mcp.audit.file import AuditFile, head_file
from maas_mcp.audit.locking import try_lock, unlock
from maas_mcp.errors import AuditUnavailableError
from tests.unit.core.audit.written import check, fields, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit.jsonl"


def events(path: Path) -> list[str]:
    return [json.loads(line)["call"] for line in path.read_text().splitlines()]


def test_only_the_owner_can_read_the_files(path: Path) -> None:
    write(path, 1)
    assert [each.stat().st_mode & 0o777 for each in (path, head_file(path), path.parent)] == [0o600, 0o600, 0o700]


def test_two_writers_in_one_process_continue_each_other(path: Path) -> None:
    one, two = AuditFile(path), AuditFile(path)
    for number in range(4):
        (one, two)[number % 2].append(fields(number))
    assert (check(path).fault, check(path).lines) == (None, 4)


@pytest.mark.parametrize("how", ["moved", "moved and created", "truncated"])
def test_a_rotated_file_continues_the_chain(path: Path, how: str) -> None:
    file, old = AuditFile(path), path.with_name("audit.jsonl.1")
    for number in range(3):
        file.append(fields(number))
    if how == "truncated":
        old.write_bytes(path.read_bytes())
        os.truncate(path, 0)
    else:
        path.rename(old)
    if how == "moved and created":
        path.touch(0o600)
    file.append(fields(3))
    both, new = check(old, path), check(path)
    assert (both.fault, both.first, both.lines) == (None, 1, 4)
    assert (new.fault, new.first, new.lines) == (None, 4, 1)


def test_an_emptied_file_is_noticed(path: Path) -> None:
    write(path, 3)
    os.truncate(path, 0)
    fault = check(path).fault
    assert fault is not None
    assert "numbers up to 3 were written" in fault.problem


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file grow beyond this size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_leaves_no_part_of_a_line(path: Path, room: int) -> None:
    file = AuditFile(path)
    file.append(fields(1))
    before = path.read_bytes()
    with file_size_limit(len(before) + room), pytest.raises(AuditUnavailableError) as caught:
        file.append(fields(2))
    assert path.read_bytes() == before
    assert f"The audit in {path} cannot be written: " in caught.value.message
    assert caught.value.hint is not None
    file.append(fields(2))  # there is space again
    assert (check(path).fault, check(path).lines) == (None, 2)


def test_a_symbolic_link_is_refused(path: Path) -> None:
    path.parent.mkdir()
    target = path.with_name("precious")
    target.touch(0o600)
    path.symlink_to(target)
    with pytest.raises(AuditUnavailableError, match="is a symbolic link; expected a regular file"):
        write(path, 1)
    assert target.read_bytes() == b""


def test_a_file_replaced_by_a_link_while_it_is_open_is_refused(path: Path) -> None:
    file = AuditFile(path)
    file.append(fields(1))
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")
    with pytest.raises(AuditUnavailableError, match="is a symbolic link; expected a regular file"):
        file.append(fields(2))


def test_a_file_that_others_can_read_is_refused(path: Path) -> None:
    file = AuditFile(path)
    file.append(fields(1))
    path.chmod(0o640)
    with pytest.raises(AuditUnavailableError, match=r"mode 0640, expected 0600") as caught:
        file.append(fields(2))
    assert f"chmod 600 {path}" in (caught.value.hint or "")
    path.chmod(0o600)
    file.append(fields(2))
    assert check(path).fault is None


def test_a_device_or_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(AuditUnavailableError, match="is not a regular file"):
        write(tmp_path / "folder", 1)
    with pytest.raises(AuditUnavailableError, match="is not a regular file"):
        audit_file._open(Path("/dev/null"), os.O_RDWR)


def test_a_file_of_another_kind_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    path.chmod(0o600)
    with pytest.raises(AuditUnavailableError, match="does not end with a line of an audit"):
        write(path, 1)
    assert path.read_text() == "my notes\n"


def test_a_damaged_head_file_is_not_trusted_for_an_empty_file(path: Path) -> None:
    write(path, 2)
    head_file(path).write_text("rubbish")
    write(path, 1, start=3)  # the file itself shows the newest line
    assert check(path).fault is None
    head_file(path).write_text("rubbish")
    path.unlink()
    with pytest.raises(AuditUnavailableError, match="no valid head file"):
        write(path, 1)


def test_a_very_long_line_is_continued(path: Path) -> None:
    write(path, 1)
    AuditFile(path).append({"event": "refused", "call": "x" * 1_000_000})
    write(path, 1, start=3)
    assert (check(path).fault, check(path).lines) == (None, 3)


@pytest.mark.parametrize(
    "value", ["\ud800", json.loads("[" * 400 + "]" * 400), float("nan"), 2**70, "a\x7fé\u2028😀"], ids=repr
)
def test_every_value_that_a_client_may_send_is_one_line_of_ascii(path: Path, value: object) -> None:
    AuditFile(path).append({"event": "refused", "call": "1", "arguments": {"value": value}})
    write(path, 1, start=2)
    line = path.read_bytes().splitlines()[0].decode("ascii")
    recorded = json.loads(line, parse_constant=pytest.fail)["arguments"]["value"]
    assert recorded == ("NaN" if value != value else value)  # noqa: PLR0124 - only NaN differs from itself
    assert (check(path).fault, check(path).lines) == (None, 2)


def test_each_line_may_be_written_to_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    anyio.run(partial(AuditFile(path).write, fields(1)))
    assert synced == []
    anyio.run(partial(AuditFile(path, fsync=True).write, fields(2)))
    assert len(synced) == 2


@pytest.fixture
def locked(path: Path) -> Iterator[int]:
    """The head file, which another process has locked."""
    write(path, 1)
    descriptor = os.open(head_file(path), os.O_RDWR)
    assert try_lock(descriptor)
    yield descriptor
    os.close(descriptor)


def test_a_locked_file_does_not_block_the_event_loop(path: Path, locked: int) -> None:
    file = AuditFile(path)
    written: list[int] = []

    async def append(number: int) -> None:
        await file.write(fields(number))
        written.append(number)

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            for number in (2, 3):
                tasks.start_soon(append, number)
            await anyio.wait_all_tasks_blocked()
            assert written == []
            unlock(locked)

    anyio.run(run)
    assert sorted(written) == [2, 3]
    assert (check(path).fault, check(path).lines) == (None, 3)


def test_a_suspended_process_with_the_lock_refuses_changes(
    path: Path, locked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locked
    monkeypatch.setattr(audit_file, "LOCK_LIMIT", 0.05)
    began = time.monotonic()
    with pytest.raises(AuditUnavailableError, match="was locked by another process"):
        AuditFile(path).append(fields(2))
    assert time.monotonic() - began < 5
    assert check(path).lines == 1
