"""Appends lines to an audit file that several processes share.

Each append takes a lock, continues the chain from the newest line, and writes the line with one ``write``. The lock is
on the head file, which stays in place when the audit file is rotated.
"""

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
import anyio.to_thread

from maas_mcp.audit.lines import (
    HEAD_BYTES,
    START,
    Head,
    Line,
    decode_line,
    encode_line,
    format_time,
    is_whole,
    number_of,
)
from maas_mcp.audit.locking import try_lock, unlock
from maas_mcp.errors import AuditUnavailableError

HEAD_SUFFIX: Final = ".head"
LOCK_LIMIT: Final = 10.0
"""Seconds to wait for the lock. Only a suspended process holds it for more than milliseconds."""
_LOCK_INTERVAL: Final = 0.001
_BLOCK: Final = 4096
"""Bytes to read first from the end of a file. Nearly every line is shorter."""
_MAX_SEARCHED: Final = 32 * 1024 * 1024
"""Bytes in which to search for the last line."""
_EXPOSED: Final = stat.S_IRWXG | stat.S_IRWXO
_MAX_REPLACED: Final = 10
"""Maximum attempts to open a file that another program keeps replacing."""
_FLAGS: Final = os.O_CREAT | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_BINARY"))
"""Flags to open a file. Not every operating system has all of them."""


def head_file(path: Path) -> Path:
    """Return the path of the head file of an audit file."""
    return path.with_name(path.name + HEAD_SUFFIX)


def check_audit_file(path: Path) -> None:
    """Check that an audit can be written, without creating or changing a file.

    Raises:
        AuditUnavailableError: It cannot be written.
    """
    for each in (path, head_file(path)):
        try:
            _check(each, each.lstat())
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unavailable(path, f"cannot be written: {error.strerror}", _hint(error)) from None
        if not os.access(each, os.R_OK | os.W_OK):
            raise _denied(path)
    folder = next(each for each in path.absolute().parents if each.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise _denied(path)


class AuditFile:
    """An audit file. Nothing is opened before the first line.

    Args:
        path: The file. It is created with its directory, for its owner only.
        fsync: Whether each line is on the disk before the call continues.
        now: Returns seconds since 1970.
    """

    def __init__(self, path: Path, *, fsync: bool = False, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now
        self._fsync = fsync
        self._files = _Files(path)
        self._mutex = threading.Lock()
        """Held by the thread that appends. The lock of the file only separates processes."""

    async def write(self, fields: Mapping[str, Any]) -> None:
        """Append a line with the time and these fields.

        Usually the line is written at once, which takes microseconds. While another process or thread appends, a worker
        thread waits, even if the caller is cancelled: the outcome of a cancelled call must be recorded, too.

        Raises:
            AuditUnavailableError: The line cannot be written. The file has no part of it.
        """
        if not self._fsync and self._mutex.acquire(blocking=False):
            try:
                if self._append_if_unlocked(fields):
                    return
            finally:
                self._mutex.release()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.append, fields)

    def append(self, fields: Mapping[str, Any]) -> None:
        """Append a line with these fields. Waits while another process or thread appends.

        Raises:
            AuditUnavailableError: The line cannot be written. The file has no part of it.
        """
        until = time.monotonic() + LOCK_LIMIT
        if self._mutex.acquire(timeout=LOCK_LIMIT):
            try:
                while time.monotonic() < until:
                    if self._append_if_unlocked(fields):
                        return
                    time.sleep(_LOCK_INTERVAL)
            finally:
                self._mutex.release()
        raise _unavailable(
            self.path,
            f"was locked by another process for {LOCK_LIMIT:.0f} s",
            f"Stop or continue the process that locks {head_file(self.path)}, such as a suspended server.",
        )

    def _append_if_unlocked(self, fields: Mapping[str, Any]) -> bool:
        """Append a line, unless another process appends. Returns whether it is written.

        After an error, the next line opens the files again.
        """
        try:
            if not self._files.lock_head():
                return False
            try:
                self._files.append({"time": format_time(self._now()), **fields}, fsync=self._fsync)
            finally:
                self._files.unlock_head()
        except OSError as error:
            self._files.close()
            raise _unavailable(self.path, f"cannot be written: {error.strerror}", _hint(error)) from None
        except AuditUnavailableError:
            self._files.close()
            raise
        return True

    def close(self) -> None:
        """Close the file. A later line opens it again."""
        with self._mutex:
            self._files.close()


@dataclass(slots=True)
class _Opened:
    """An open file."""

    path: Path
    descriptor: int
    inode: tuple[int, int]


class _Files:
    """The open audit file and its head file."""

    def __init__(self, path: Path) -> None:
        self._path, self._head_path = path, head_file(path)
        self._name, self._head_name = os.fspath(path), os.fspath(self._head_path)  # faster than a Path at each append
        self._log: _Opened | None = None
        self._head: _Opened | None = None
        self._end = _End(Head())
        self._seen: tuple[object, ...] = ()
        """The files and the size for which ``_end`` is the end."""

    def lock_head(self) -> bool:
        """Lock the head file, unless another process has locked it. Returns whether it is locked."""
        for _ in range(_MAX_REPLACED):
            if self._head is None:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._head = _open(self._head_path, os.O_RDWR)
            if not try_lock(self._head.descriptor):
                return False
            if _inode(self._head_name) == self._head.inode:
                return True
            self.close()  # it was removed or replaced, so other processes lock another file
        raise _unavailable(
            self._path,
            f"cannot be written: {self._head_path} keeps being replaced",
            "Stop the program that replaces it.",
        )

    def unlock_head(self) -> None:
        """Unlock the head file."""
        if self._head is not None:
            unlock(self._head.descriptor)

    def append(self, fields: Mapping[str, Any], *, fsync: bool) -> None:
        """Append a line while the head file is locked."""
        log, head, size = self._open_log()
        end = self._end if (log.inode, head.inode, size) == self._seen else _find_end(log, head, size)
        line, newest = encode_line(end.newest, fields, torn=end.torn, starts_file=end.is_empty)
        content = line if end.has_newline else b"\n" + line
        self._seen = ()
        try:
            _write(log, content)
            os.lseek(head.descriptor, 0, os.SEEK_SET)
            _write(head, newest.to_bytes())
        except OSError:
            with suppress(OSError):
                os.ftruncate(log.descriptor, size)
            raise
        if fsync:
            os.fsync(log.descriptor)
            os.fsync(head.descriptor)
        self._end, self._seen = _End(newest), (log.inode, head.inode, size + len(content))

    def _open_log(self) -> tuple[_Opened, _Opened, int]:
        """The file that is now at the path, which may have been rotated; the head file; and the size."""
        if self._head is None:
            raise TypeError("the head file is not locked")
        try:
            found = os.lstat(self._name)
        except FileNotFoundError:
            found = None
        if self._log is not None and (found is None or (found.st_dev, found.st_ino) != self._log.inode):
            os.close(self._log.descriptor)
            self._log = None
        if found is not None:
            _check(self._path, found)
        if self._log is None:
            self._log = _open(self._path, os.O_RDWR | os.O_APPEND)
            found = os.fstat(self._log.descriptor)
        return self._log, self._head, 0 if found is None else found.st_size

    def close(self) -> None:
        """Close both files, which unlocks them."""
        for each in (self._log, self._head):
            if each is not None:
                os.close(each.descriptor)
        self._log = self._head = None
        self._seen = ()


def _open(path: Path, flags: int) -> _Opened:
    """Open a file that only its owner may access."""
    try:
        descriptor = os.open(path, flags | _FLAGS, 0o600)
    except OSError:
        if path.is_symlink():
            raise _no_file(path, "a symbolic link; expected a regular file") from None
        raise
    try:
        found = os.fstat(descriptor)
        _check(path, found)
    except BaseException:
        os.close(descriptor)
        raise
    return _Opened(path, descriptor, (found.st_dev, found.st_ino))


def _check(path: Path, found: os.stat_result) -> None:
    """Check that a file is a regular one that only its owner may access."""
    if stat.S_ISLNK(found.st_mode):
        raise _no_file(path, "a symbolic link; expected a regular file")
    if not stat.S_ISREG(found.st_mode):
        raise _no_file(path, "not a regular file")
    if os.name == "posix" and found.st_mode & _EXPOSED:
        raise _unavailable(
            path,
            f"can be read or changed by others (mode {stat.S_IMODE(found.st_mode):04o}, expected 0600)",
            f"Run `chmod 600 {path}`. If logrotate creates the file, use `create 0600` in its configuration.",
        )


def _inode(name: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(name)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


class _End(NamedTuple):
    """The end of an audit file."""

    newest: Head
    """The newest line of the chain, which may be in an earlier file."""
    torn: bytes = b""
    """An incomplete line, or several, for the next line to record."""
    has_newline: bool = True
    """Whether the file can be continued without a newline."""
    is_empty: bool = False
    """Whether the file has no complete line."""


def _find_end(log: _Opened, head: _Opened, size: int) -> _End:
    """Find the end of a file to which another process may have appended.

    The head file is behind if a writer was killed between its writes to the two files. It is ahead if the audit file
    was rotated, or if lines were removed from it. The chain then continues after these lines, so that a verification
    notices removed ones.
    """
    found, rest = _read_end(log, size)
    record = _read_at(head, HEAD_BYTES, 0)
    recorded = Head.parse(record.decode("ascii", "replace"))
    is_new = not record and rest.startswith(START[: len(rest)]) and not is_whole(rest)
    if recorded is None and found is None and not is_new:
        raise _unavailable(
            log.path,
            "cannot be continued: it does not end with a line of an audit, and there is no valid head file",
            "Move both files away, or set MAAS_MCP_AUDIT to another path. `maas-mcp audit verify` shows details.",
        )
    known = recorded or Head()
    newest = known if found is None or found.head.seq <= known.seq else found.head
    # The head file follows each complete line. An invalid line up to it was changed, so it is not recorded as torn.
    last = (number_of(rest) or known.seq + 1) - 1 if found is None else found.head.seq
    torn = rest.removesuffix(b"\n") if last >= known.seq else rest.rpartition(b"\n")[2]
    has_newline = size == 0 or _read_at(log, 1, size - 1) == b"\n"
    return _End(newest, torn, has_newline, found is None)


def _read_end(log: _Opened, size: int) -> tuple[Line | None, bytes]:
    """Return the last complete line, if any, and the bytes after it and its newline."""
    length = min(size, _BLOCK)
    while True:
        pieces = _read_at(log, length, size - length).split(b"\n")
        for number in range(len(pieces) - 1, -1, -1):
            if found := decode_line(pieces[number]):
                return found, b"\n".join(pieces[number + 1 :])
        if length == size or length >= _MAX_SEARCHED:
            return None, b"\n".join(pieces)
        length = min(size, length * 8, _MAX_SEARCHED)


def _write(file: _Opened, content: bytes) -> None:
    """Write all bytes.

    Raises:
        OSError: The disk is full, perhaps after a part of the bytes.
    """
    if os.write(file.descriptor, content) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read_at(file: _Opened, length: int, offset: int) -> bytes:
    os.lseek(file.descriptor, offset, os.SEEK_SET)
    return os.read(file.descriptor, length)


def _no_file(path: Path, kind: str) -> AuditUnavailableError:
    return _unavailable(path, f"is {kind}", "Set MAAS_MCP_AUDIT to the path of a file.")


def _unavailable(path: Path, problem: str, hint: str) -> AuditUnavailableError:
    return AuditUnavailableError(
        f"The audit in {path} {problem}. A call that changes something must be recorded, so nothing was sent to MAAS.",
        hint=f"{hint} Tools that only read still work.",
    )


def _denied(path: Path) -> AuditUnavailableError:
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return _unavailable(path, f"cannot be written: {error.strerror}", _hint(error))


def _hint(error: OSError) -> str:
    if isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError):
        return "Let this server write to the file and its directory, or set MAAS_MCP_AUDIT to another path."
    return "Free space on the disk, or set MAAS_MCP_AUDIT to a path on another disk."
