"""Runs a region with uvicorn: in a thread for tests, or as a program."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from maas_simulator.control import create_control_app
from maas_simulator.http.app import create_app
from maas_simulator.http.broken_responses import WIRE
from maas_simulator.region import SimulatedRegion

SERVER_TIMEOUT = 10.0
"""How many seconds a server may take to start or to stop."""
RESTART_POLL_INTERVAL = 0.02
"""Seconds between two checks whether a restart is over."""


def _with_transport(app: ASGIApp) -> ASGIApp:
    """Pass the connection's transport to the application, so that faults can close it."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        # Uvicorn's ``send`` is a method of the request's cycle, which holds the connection.
        scope[WIRE] = getattr(getattr(send, "__self__", None), "transport", None)
        await app(scope, receive, send)

    return call


class _Server(uvicorn.Server):
    """A server that announces its start, refuses connections during restarts, and exits without a traceback."""

    def __init__(
        self, config: uvicorn.Config, region: SimulatedRegion | None = None, announce: Callable[[], None] | None = None
    ) -> None:
        super().__init__(config)
        self.region = region
        self.announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and self.announce:
            self.announce()
            self.announce = None

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._is_restarting

    async def main_loop(self) -> None:
        """Run uvicorn's loop, and run it again after each restart of the region."""
        await super().main_loop()
        while not self.should_exit and self._is_restarting:
            await self._refuse_connections()
            await super().main_loop()

    @property
    def _is_restarting(self) -> bool:
        return self.region is not None and self.region.is_restarting

    async def _refuse_connections(self) -> None:
        """Close all connections and refuse new ones; the port stays bound to a socket that does not listen."""
        listening = self.servers[0].sockets[0]
        family, address = listening.family, listening.getsockname()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)  # Closed sockets are released in the loop's next turn.
        reserved = socket.socket(family)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(address)
        while self._is_restarting and not self.should_exit:  # noqa: ASYNC110 - the region's clock may be a test's own
            await asyncio.sleep(RESTART_POLL_INTERVAL)
        await self.startup(sockets=[reserved])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on signals. Unlike uvicorn's own method, this does not raise the signal again after a clean exit."""
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
    region: SimulatedRegion, *, ssl_certfile: str | None = None, ssl_keyfile: str | None = None
) -> Iterator[str]:
    """Serve a region from a thread, on a free port of 127.0.0.1; yields its base URL, ``http…:PORT/MAAS``."""
    config = _config(_with_transport(create_app(region)), ssl_certfile, ssl_keyfile)
    with _in_thread(_Server(config, region)) as address:
        yield f"{'https' if ssl_certfile else 'http'}://{address}/MAAS"


@contextlib.contextmanager
def serving_control(region: SimulatedRegion, port: int = 0) -> Iterator[str]:
    """Serve a region's control API from a thread, on a port of 127.0.0.1; yields its URL, ``http://127.0.0.1:PORT``.

    Raises ``OSError`` if the port cannot be used; its ``filename`` names the port.
    """
    with _in_thread(_Server(_config(create_control_app(region))), port) as address:
        yield f"http://{address}"


def _print(lines: str) -> None:
    sys.stdout.write(lines)
    sys.stdout.flush()


def run(
    region: SimulatedRegion,
    port: int = 0,
    host: str = "127.0.0.1",
    control_port: int | None = None,
    announce: Callable[[str], None] = _print,
) -> None:
    """Serve a region until SIGINT or SIGTERM, after printing its URL and an API key.

    With a ``control_port`` (0 picks a free one) the control API is served on 127.0.0.1, and its URL is printed as well.
    ``announce`` receives these lines instead of stdout, once the server accepts requests.

    Raises ``OSError`` if a port cannot be used; its ``filename`` names the port.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listener(host, port))
        lines = f"MAAS_URL=http://{_address(listener)}/MAAS\nMAAS_API_KEY={region.api_key}\n"
        if control_port is not None:
            lines += f"CONTROL_URL={stack.enter_context(serving_control(region, control_port))}\n"
        gc.freeze()  # Without this, a garbage collection during a request would scan all machines.
        with contextlib.suppress(KeyboardInterrupt):
            _Server(_config(_with_transport(create_app(region))), region, lambda: announce(lines)).run([listener])


def _listener(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"Port {port} of {host}") from error
    # Connections inherit this. Without it a body waits 40 ms for the client to acknowledge the headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.contextmanager
def _in_thread(server: _Server, port: int = 0) -> Iterator[str]:
    with _listener("127.0.0.1", port) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), name="maas-simulator", daemon=True)
        thread.start()
        end = time.monotonic() + SERVER_TIMEOUT
        while not server.started:
            if not thread.is_alive() or time.monotonic() > end:
                raise RuntimeError("the simulator's server did not start")
            time.sleep(0.005)
        try:
            yield _address(listener)
        finally:
            server.should_exit = server.force_exit = True
            thread.join(SERVER_TIMEOUT)


def _config(app: ASGIApp, ssl_certfile: str | None = None, ssl_keyfile: str | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        timeout_graceful_shutdown=1,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
    )
