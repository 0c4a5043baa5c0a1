"""The HTTP runner: uvicorn on one address, with a clean shutdown.

The SDK's own runner waits for running calls forever. Here SIGTERM or SIGINT ends the calls, so that each client gets a
response. Connections that are still open after :data:`GRACE` seconds are closed.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Final

import anyio
import uvicorn
from starlette.types import ASGIApp

from maas_mcp.calls.connections import Connections
from maas_mcp.credentials.regions import LocalRegions
from maas_mcp.errors import ServerError
from maas_mcp.operations.timing import Timing
from maas_mcp.plugins.registry import Registry
from maas_mcp.server.catalogue import Catalogue, Configuration
from maas_mcp.server.http.address import LOOPBACK_HOSTS, HttpAddress
from maas_mcp.server.http.app import MCP_PATH, http_app
from maas_mcp.server.reloading import reloading
from maas_mcp.settings import Settings

GRACE: Final = 5
"""Seconds at shutdown for sending responses and closing streams."""


def serve(
    registry: Registry,
    settings: Settings,
    address: HttpAddress,
    announce: Callable[[str], None],
    timing: Timing | None = None,
    *,
    load: Callable[[], Configuration] | None = None,
    regions: LocalRegions | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT arrives. Operations already started in MAAS continue.

    Args:
        registry: The plugins' tools.
        settings: The settings.
        address: The address to listen on.
        announce: Called with the URL of MCP as soon as requests are accepted.
        timing: The time limits of operations.
        load: Reads the configuration and loads the plugins, at SIGHUP.
        regions: The regions of the local user, as which unauthenticated clients act.

    Raises:
        SettingsError: Other hosts can reach the address, and there is no authentication or no TLS.
        ServerError: The address cannot be used, or the server did not start.
    """
    address.check_safe(settings)
    connections = Connections()
    hosts = (*LOOPBACK_HOSTS, *settings.http_hosts)
    catalogue = Catalogue(registry, settings, regions.names if regions else ())
    app = http_app(registry, settings, connections, hosts, timing, catalogue=catalogue, regions=regions)

    async def run(listener: socket.socket) -> None:
        async with reloading(catalogue, load):
            await _serve(app, listener, connections, settings, lambda: announce(_url(listener, settings)))

    with contextlib.closing(_listener(address)) as listener:
        anyio.run(run, listener)


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers, which would raise the signals again at the end."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(
    app: ASGIApp,
    listener: socket.socket,
    connections: Connections,
    settings: Settings,
    on_start: Callable[[], None],
) -> None:
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,  # the command configures logging
        access_log=False,
        proxy_headers=False,  # a client could choose its address with X-Forwarded-For, and pose as a trusted proxy
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=settings.http_tls_cert,
        ssl_keyfile=settings.http_tls_key,
    )
    server = _Server(config, on_start)

    def stop() -> None:
        connections.shut_down()
        server.force_exit = server.should_exit  # a second signal stops at once
        server.should_exit = True

    if os.name == "posix":
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
    await server.serve([listener])
    if not server.started:
        raise ServerError("The HTTP server did not start.", hint="See the log messages above.")


def _listener(address: HttpAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.port), family=family, backlog=2048)
    except OSError as error:
        raise ServerError(
            f"Port {address.port} of {address.host} cannot be used: {error.strerror or error}.",
            hint="Stop the program that uses it, or choose another port.",
        ) from error
    # Connections inherit this. Without it, a body waits 40 ms for the client to acknowledge the headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket, settings: Settings) -> str:
    host, port, *_ = listener.getsockname()
    scheme = "http" if settings.http_tls_cert is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{MCP_PATH}"
