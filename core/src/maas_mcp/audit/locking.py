"""An exclusive lock on an open file, between processes."""

import sys

if sys.platform == "win32":  # pragma: no cover - not tested on Windows
    import msvcrt
    import os

    _FAR = 1 << 30
    """A byte beyond the content, because a lock on Windows also prevents reading."""

    def try_lock(descriptor: int) -> bool:
        """Lock a file, unless another process has locked it. Returns whether it is locked."""
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Unlock a file."""
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock a file, unless another process has locked it. Returns whether it is locked."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Unlock a file."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)
