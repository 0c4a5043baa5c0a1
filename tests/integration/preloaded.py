"""A process that has imported the modules of ``maas-mcp``, and forks one for each request on a socket.

:mod:`tests.integration.server_process` starts it. It has no threads, so that a fork of it is a process that has
just imported these modules.
"""

import gc
import json
import os
import runpy
import select
import selectors
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

from pydantic import BaseModel

from tests.integration.forking_python import NUMBER, PRELOADED

MODULES = (
    "anyio._backends._asyncio",
    "anyio._core._signals",
    "encodings.idna",
    "encodings.utf_8_sig",
    "httpcore",
    "maas_mcp.access.configuration",
    "maas_mcp.cli.call",
    "maas_mcp.cli.demonstration",
    "maas_mcp.cli.doctor",
    "maas_mcp.cli.plugins",
    "maas_mcp.cli.serve",
    "maas_mcp.cli.token",
    "maas_mcp.maas.exchange",
    "maas_mcp.operations.batches.group",
    "maas_mcp.operations.running.engine",
    "maas_mcp.operations.running.machine",
    "maas_mcp.operations.running.region",
    "maas_mcp.operations.running.survey",
    "maas_mcp.proxies",
    "maas_mcp.server.calling",
    "maas_mcp.server.http.address",
    "maas_mcp.server.http.metrics",
    "maas_mcp.server.http.runner",
    "maas_mcp.server.stdio",
    "platformdirs.unix",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.h11_impl",
)
"""The modules that a server imports until it has answered the first calls, and those of the commands."""
PACKS = ("maas_commission", "maas_configure", "maas_deploy", "maas_inventory")
"""The packages of which a server imports all modules, in its first calls."""
STREAMS = {"stdin": ("r", -1, "strict"), "stdout": ("w", -1, "strict"), "stderr": ("w", 1, "backslashreplace")}
"""The mode, the buffering and the error handler of each standard stream."""
REQUEST_SIZE = 131_072
"""Maximum bytes of a request."""


def wait_for_request(listener: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for each request, and report each child's exit code. Returns only in a child, with its request.

    A child whose exit code nobody waits for any more is killed. The end of stdin ends this process.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                now = selector.get_map().get(key.fd)  # an event before it may have ended the child
                if key.fd == 0:
                    sys.exit()
                elif key.data is None:
                    if request := _fork(listener, selector):
                        return request
                elif now and now.data is key.data:
                    _end(key.data, selector)


@dataclass(frozen=True)
class Child:
    """A forked process, and the connection of the process that asked for it."""

    pid: int
    descriptor: int
    """Its pidfd."""
    asker: socket.socket

    @property
    def has_ended(self) -> bool:
        return bool(select.select([self.descriptor], [], [], 0)[0])

    def close(self) -> None:
        os.close(self.descriptor)
        self.asker.close()


def _fork(listener: socket.socket, selector: selectors.BaseSelector) -> tuple[dict[str, Any], list[int]] | None:
    """Take a request and fork. Return the request in the child."""
    asker, _ = listener.accept()
    message, streams, _, _ = socket.recv_fds(asker, REQUEST_SIZE, 3)
    if (pid := os.fork()) == 0:
        for each in {key.data for key in selector.get_map().values()} - {None}:
            each.close()
        asker.close()
        listener.close()
        return json.loads(message), streams
    for each in streams:
        os.close(each)
    asker.send(NUMBER.pack(pid))
    child = Child(pid, os.pidfd_open(pid), asker)
    selector.register(child.descriptor, selectors.EVENT_READ, child)
    selector.register(asker, selectors.EVENT_READ, child)
    return None


def _end(child: Child, selector: selectors.BaseSelector) -> None:
    """Report the exit code of a child. Kill it first if it runs: then nobody waits for it."""
    if not child.has_ended:
        os.kill(child.pid, signal.SIGKILL)
    _, status = os.waitpid(child.pid, 0)
    with suppress(BrokenPipeError):
        child.asker.send(NUMBER.pack(os.waitstatus_to_exitcode(status)))
    selector.unregister(child.descriptor)
    selector.unregister(child.asker)
    child.close()


def become(request: dict[str, Any], streams: list[int], path: str, python: str) -> None:
    """Take the streams, the arguments and the environment of the requested process.

    It finds the socket of this process by ``path``, and ``python`` where Python would be.
    """
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
    os.environ.update(request["environment"], **{PRELOADED: path})
    sys.argv = request["command"]
    sys.executable = python
    sys.modules["__main__"].__package__ = None  # click names the program by it


def build_models(base: type[BaseModel]) -> None:
    """Build the models of MAAS's answers, which a server builds when it reads the first answer."""
    for model in base.__subclasses__():
        if model.__module__.startswith("maas_"):
            model.model_rebuild()
        build_models(model)


if __name__ == "__main__":
    descriptor, path, python, scripts = sys.argv[1:]
    sys.path[0] = scripts  # as Python sets it for `maas-mcp`
    for name in MODULES + PACKS:
        import_module(name)
    for name in PACKS:
        for module in walk_packages(sys.modules[name].__path__, f"{name}."):
            import_module(module.name)
    registry = import_module("maas_mcp.plugins.registry").load_registry()
    import_module("maas_mcp.server.catalogue").served_tools(registry)
    build_models(BaseModel)
    gc.collect()
    gc.freeze()
    become(*wait_for_request(socket.socket(fileno=int(descriptor))), path, python)
    if sys.argv[1:2] == ["-m"]:  # Python's own options
        sys.path[0] = ""
        runpy.run_module(sys.argv[2], run_name="__main__", alter_sys=True)
        sys.exit()
    sys.exit(import_module("maas_mcp.cli").main())
