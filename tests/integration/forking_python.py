"""Stands for Python in a forked ``maas-mcp call``, which starts a server: this one is forked as well.

It exchanges with :mod:`tests.integration.preloaded` what a test does, and ends as the server ends.
"""

import json
import os
import signal
import socket
import struct
import sys

PRELOADED = "PYTEST_PRELOADED"
"""The variable with the path of the socket."""
NUMBER = struct.Struct("i")
"""A process id, and at the process's end its exit code."""
SERVER = ["-P", "-m", "maas_mcp"]
"""The options of Python that make it ``maas-mcp``."""


def main(arguments: list[str]) -> int:
    """Have ``maas-mcp`` forked with the streams and the environment of this process. Return its exit code."""
    assert arguments[: len(SERVER)] == SERVER, arguments
    request = {"command": ["maas-mcp", *arguments[3:]], "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109 - pathlib takes as long to import as the rest
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as preloaded:
        preloaded.connect(os.environ[PRELOADED])
        socket.send_fds(preloaded, [json.dumps(request).encode()], [0, 1, 2])
        (pid,) = NUMBER.unpack(preloaded.recv(NUMBER.size))
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda number, _: os.kill(pid, number))
        for stream in (0, 1):
            os.close(stream)  # so that their other ends close with the server
        (code,) = NUMBER.unpack(preloaded.recv(NUMBER.size))
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
