"""A process that has imported the modules of a server, and forks a server for each request on a socket.

:mod:`tests.integration.server_process` starts it. It has no threads, so that a fork of it is a server that has just
imported these modules.
"""

import gc
import json
import os
import selectors
import socket
import struct
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

MODULES = (
    "anyio._backends._asyncio",
    "encodings.idna",
    "httpcore",
    "maas_mcp.access.configuration",
    "maas_mcp.cli.serve",
    "maas_mcp.maas.exchange",
    "maas_mcp.operations.running.engine",
    "maas_mcp.operations.running.machine",
    "maas_mcp.operations.running.region",
    "maas_mcp.operations.running.survey",
    "maas_mcp.server.http.address",
    "maas_mcp.server.http.metrics",
    "maas_mcp.server.http.runner",
    "maas_mcp.server.stdio",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.h11_impl",
)
"""The modules that a server imports until it has answered the first calls."""
STREAMS = {"stdin": ("r", -1, "strict"), "stdout": ("w", -1, "strict"), "stderr": ("w", 1, "backslashreplace")}
"""The mode, the buffering and the error handler of each standard stream."""
REQUEST_SIZE = 131_072
"""Maximum bytes of a request."""
NUMBER = struct.Struct("i")
"""A process id or an exit code, on the pipe of the process that asked for a server."""


def wait_for_request(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for each request, and report each child's exit code. Returns only in a child, with its request."""
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    selector.unregister(key.fd)
                    _report_end(key.fd, *key.data)
                    continue
                message, descriptors, _, _ = socket.recv_fds(control, REQUEST_SIZE, 4)
                if not message:
                    sys.exit()
                *streams, report = descriptors
                if (pid := os.fork()) == 0:
                    _close_other(selector)
                    os.close(report)
                    return json.loads(message), streams
                for each in streams:
                    os.close(each)
                os.write(report, NUMBER.pack(pid))
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, report))


def _report_end(descriptor: int, pid: int, report: int) -> None:
    _, status = os.waitpid(pid, 0)
    os.close(descriptor)
    with suppress(BrokenPipeError):  # if nobody waits for it
        os.write(report, NUMBER.pack(os.waitstatus_to_exitcode(status)))
    os.close(report)


def _close_other(selector: selectors.BaseSelector) -> None:
    """Close what belongs to the parent and to its other children."""
    for key in list(selector.get_map().values()):
        os.close(key.fd)
        if key.data is not None:
            os.close(key.data[1])


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Take the streams, the arguments and the environment of the requested server."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # As Python opens them. The streams of the parent have noted whether its own files can seek.
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        mode, buffering, errors = STREAMS[name]
        stream = os.fdopen(number, mode, buffering, encoding="utf-8", errors=errors, closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["command"]


if __name__ == "__main__":
    sys.path[0] = sys.argv[2]  # as Python sets it for `maas-mcp`
    for module in MODULES:
        import_module(module)
    registry = import_module("maas_mcp.plugins.registry").load_registry()
    import_module("maas_mcp.server.catalogue").served_tools(registry)
    gc.collect()
    gc.freeze()
    become(*wait_for_request(socket.socket(fileno=int(sys.argv[1]))))
    sys.exit(import_module("maas_mcp.cli").main())
