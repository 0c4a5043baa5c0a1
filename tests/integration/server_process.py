"""Starts the processes of servers, most of them by a fork: imports take nine tenths of a server's start-up time."""

import atexit
import json
import os
import select
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Final, Protocol

from tests.integration.preloaded import NUMBER

PRELOADED: Final = Path(__file__).with_name("preloaded.py")
OWN: Final = ("MAAS_", "PYTEST_")
"""The prefixes of the variables that a forked server may have for itself. Python and libraries read others when they
start."""


class ServerProcess(Protocol):
    """The part of ``subprocess.Popen`` that tests use."""

    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...
    def send_signal(self, sig: int, /) -> None: ...


def start_server(
    command: Sequence[str], errors: IO[bytes], environment: Mapping[str, str], *, pipes: bool, fork: bool
) -> ServerProcess:
    """Start a server.

    Args:
        command: The command line.
        errors: The file for its stderr.
        environment: Its environment.
        pipes: Whether its stdin and stdout are pipes. Otherwise both are ``/dev/null``.
        fork: Whether the command is ``maas-mcp``, so that a process that has imported it may fork the server. A server
            with variables of its own that Python or a library reads when it starts is not forked.
    """
    if fork and sys.platform == "linux" and _not_own(environment) == _not_own(os.environ) == _preloaded()[1]:
        return _Forked(command, errors, environment, pipes=pipes)
    stream = subprocess.PIPE if pipes else subprocess.DEVNULL
    return subprocess.Popen(command, stdin=stream, stdout=stream, stderr=errors, env=environment)


def _not_own(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(OWN)}


@cache
def _preloaded() -> tuple[socket.socket, dict[str, str]]:
    """Start the process that has imported the modules of a server. Return its socket and its environment."""
    environment = _not_own(os.environ)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, str(PRELOADED), str(theirs.fileno()), sysconfig.get_path("scripts")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**environment, "MAAS_MCP_CONFIG": ""},
        pass_fds=[theirs.fileno()],
    )
    theirs.close()

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return ours, environment


class _Forked:
    """A server that was forked. Its parent reports its id and its exit code on a pipe."""

    def __init__(
        self, command: Sequence[str], errors: IO[bytes], environment: Mapping[str, str], *, pipes: bool
    ) -> None:
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self._returncode: int | None = None
        self._report, report = os.pipe()
        if pipes:
            given, ours = os.pipe()
            self.stdin = os.fdopen(ours, "wb")
            ours, answered = os.pipe()
            self.stdout = os.fdopen(ours, "rb")
        else:
            given, answered = os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_WRONLY)
        request = {"command": command, "environment": environment, "folder": str(Path.cwd())}
        control, _ = _preloaded()
        socket.send_fds(control, [json.dumps(request).encode()], [given, answered, errors.fileno(), report])
        for each in (given, answered, report):
            os.close(each)
        self.pid = self._read_number()

    def poll(self) -> int | None:
        """Return the exit code, or ``None`` while the process is running."""
        return self._ended_within(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process, and return its exit code."""
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return code

    def kill(self) -> None:
        self.send_signal(9)

    def send_signal(self, sig: int, /) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def _ended_within(self, timeout: float | None) -> int | None:
        if self._returncode is None and select.select([self._report], [], [], timeout)[0]:
            self._returncode = self._read_number()
            os.close(self._report)
        return self._returncode

    def _read_number(self) -> int:
        number: int
        (number,) = NUMBER.unpack(os.read(self._report, NUMBER.size))
        return number
