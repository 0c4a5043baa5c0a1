"""Running a region with uvicorn: in a thread for tests, or as a program for people."""

import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from maas_mcp.simulator.app import DROP, create_app
from maas_mcp.simulator.region import Region

PATIENCE = 10.0
"""Seconds a server may take to start or to stop."""


class _BySocket:
    """Gives the application the means to drop its connection."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Uvicorn's ``send`` is a method of the request's cycle, which holds the connection.
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        scope[DROP] = getattr(transport, "abort", None)
        await self.app(scope, receive, send)


class _Server(uvicorn.Server):
    """A server that says when it listens, and ends without a traceback when it is told to."""

    def __init__(self, config: uvicorn.Config, announcement: str = "") -> None:
        super().__init__(config)
        self.announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and self.announcement:
            sys.stdout.write(self.announcement)
            sys.stdout.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's own, this does not raise the signal again after a clean end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.should_exit = self.force_exit = True


@contextlib.contextmanager
def serving(
    region: Region,
    *,
    ssl_certfile: str | None = None,
    ssl_keyfile: str | None = None,
) -> Iterator[str]:
    """Serve a region from a thread, on a free port of 127.0.0.1; yields its base URL, ``http…:PORT/MAAS``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(_config(region, ssl_certfile, ssl_keyfile))
        thread = threading.Thread(target=server.run, args=([listener],), name="maas-simulator", daemon=True)
        thread.start()
        _wait_for(server, thread)
        scheme = "https" if ssl_certfile else "http"
        try:
            yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/MAAS"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(PATIENCE)


def run(region: Region, port: int = 0, host: str = "127.0.0.1") -> None:
    """Serve a region until SIGINT or SIGTERM, after printing its URL and the administrator's API key."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        address = f"[{host}]" if ":" in host else host
        lines = f"MAAS_URL=http://{address}:{listener.getsockname()[1]}/MAAS\nMAAS_API_KEY={region.api_key}\n"
        with contextlib.suppress(KeyboardInterrupt):
            _Server(_config(region), lines).run([listener])


def _config(region: Region, certfile: str | None = None, keyfile: str | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        _BySocket(create_app(region)),
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        timeout_graceful_shutdown=1,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
    )


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + PATIENCE
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise RuntimeError("the simulator's server did not start")
        time.sleep(0.005)
