"""Starts the processes of ``maas-mcp``, most of them by a fork: imports take nine tenths of their start-up time."""

import atexit
import json
import os
import select
import shlex
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryFile, mkdtemp
from typing import IO, Final, Protocol

from tests.integration.forking_python import NUMBER

PRELOADED: Final = "tests.integration.preloaded"
FORKING_PYTHON: Final = Path(__file__).with_name("forking_python.py")
OWN: Final = ("MAAS_", "PYTEST_", "COLUMNS", "HOME", "LINES", "NO_COLOR", "PYTHON_KEYRING_", "TERM")
"""The prefixes of the variables that a forked process may have for itself. Python and libraries read others when they
start."""
Streams = tuple[IO[bytes], IO[bytes], IO[bytes]]
"""The files for the stdin, stdout and stderr of a process."""


class ServerProcess(Protocol):
    """The part of ``subprocess.Popen`` that tests use."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

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
        fork: Whether the command is ``maas-mcp``, so that a process that has imported it may fork it.
    """
    if not pipes:
        with Path(os.devnull).open("r+b") as null:
            return start_process(command, (null, null, errors), environment, fork=fork)
    given, ours = os.pipe()
    answers, answered = os.pipe()
    with os.fdopen(given, "rb") as stdin, os.fdopen(answered, "wb") as stdout:
        process = start_process(command, (stdin, stdout, errors), environment, fork=fork)
    process.stdin, process.stdout = os.fdopen(ours, "wb"), os.fdopen(answers, "rb")
    return process


def run_to_end(
    command: Sequence[str],
    environment: Mapping[str, str],
    given: str = "",
    *,
    timeout: float = 60.0,
    merged: bool = False,
    fork: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with ``given`` on its stdin. If ``merged``, its stderr goes to its stdout."""
    with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
        stdin.write(given.encode())
        stdin.seek(0)
        process = start_process(command, (stdin, stdout, stdout if merged else stderr), environment, fork=fork)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(command, code, stdout.read().decode(), stderr.read().decode())


def start_process(
    command: Sequence[str], streams: Streams, environment: Mapping[str, str], *, fork: bool = True
) -> ServerProcess:
    """Start a process with these files as its stdin, stdout and stderr.

    A process with variables of its own that Python or a library reads when it starts is not forked.
    """
    if fork and sys.platform == "linux" and _not_own(environment) == _not_own(os.environ) == _preloaded()[1]:
        return _Forked(command, streams, environment)
    stdin, stdout, stderr = streams
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, start_new_session=True)


def _not_own(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(OWN)}


@cache
def _preloaded() -> tuple[str, dict[str, str]]:
    """Start the process that has imported the modules of a server. Return the path of its socket, and its environment.

    In what it forks, ``sys.executable`` is a script that has a server forked, too.
    """
    environment = _not_own(os.environ)
    folder = mkdtemp(prefix="maas-mcp-")
    path, python = f"{folder}/socket", Path(folder, "python")
    forking = shlex.join([sys.executable, "-SE", str(FORKING_PYTHON)])
    python.write_text(f'#!/bin/sh\nexec {forking} "$@"\n')
    python.chmod(0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(socket.SOMAXCONN)
        process = subprocess.Popen(
            [sys.executable, "-m", PRELOADED, str(listener.fileno()), path, python, sysconfig.get_path("scripts")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**environment, "MAAS_MCP_CONFIG": ""},
            cwd=Path(__file__).parents[2],
            pass_fds=[listener.fileno()],
            start_new_session=True,  # or a hidden prompt would appear on the terminal of the tests
        )

    def stop() -> None:
        process.communicate()
        rmtree(folder)

    atexit.register(stop)
    return path, environment


class _Forked:
    """A process that was forked. Its parent reports its id and its exit code."""

    def __init__(self, command: Sequence[str], streams: Streams, environment: Mapping[str, str]) -> None:
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self._returncode: int | None = None
        self._parent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._parent.connect(_preloaded()[0])
        request = {"command": command, "environment": environment, "folder": str(Path.cwd())}
        socket.send_fds(self._parent, [json.dumps(request).encode()], [each.fileno() for each in streams])
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
        if self._returncode is None and select.select([self._parent], [], [], timeout)[0]:
            self._returncode = self._read_number()
            self._parent.close()
        return self._returncode

    def _read_number(self) -> int:
        number: int
        (number,) = NUMBER.unpack(self._parent.recv(NUMBER.size))
        return number
