"""Several replicas of the server behind a load balancer that sends each request to the next one."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.integration.driver import MODERN, TIMEOUT
from tests.integration.http_driver import HttpDriver, serving_http

SECRET = "the secret that all replicas share"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
PART = 65_536
"""Maximum bytes of a part of a response that is passed on at once."""


@dataclass
class Balancer:
    """Chooses the replica for each request, round-robin. A replica that refuses the connection is skipped."""

    ports: Sequence[int]
    """The ports of the replicas."""
    served: list[int] = field(default_factory=list)
    """The index of the replica that each request went to, in the order of arrival."""
    port: int = 0
    """The balancer's own port."""
    sticks_to: int | None = None
    """The replica for all requests, as with sticky routing. ``None`` for round-robin."""
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self) -> HTTPConnection:
        """A connection to the next replica."""
        for _ in self.ports:
            with self._lock:
                index, self._next = self._next, (self._next + 1) % len(self.ports)
                index = index if self.sticks_to is None else self.sticks_to
                connection = HTTPConnection("127.0.0.1", self.ports[index], timeout=TIMEOUT)
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    continue
                self.served.append(index)
                return connection
        raise ConnectionRefusedError("no replica is left")


class _Forwarding(BaseHTTPRequestHandler):
    """Forwards one request, and passes its response on while it arrives."""

    balancer: Balancer

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        replica = self.balancer.connect()
        try:
            replica.request(self.command, self.path, body, given)
            # As nginx does: if the client goes away, the replica's connection is closed.
            threading.Thread(target=self._close_with_client, args=(replica,), daemon=True).start()
            self._pass_on(replica.getresponse())
        except (OSError, HTTPException, AttributeError):
            pass  # the replica or the client is gone, so that the other one's connection is closed
        finally:
            replica.close()
            with suppress(OSError):
                self.connection.shutdown(2)

    do_GET = do_POST = do_DELETE = _forward  # noqa: N815 - the names that http.server calls

    def _pass_on(self, response: HTTPResponse) -> None:
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        while part := response.read1(PART):
            self.wfile.write(part)

    def _close_with_client(self, replica: HTTPConnection) -> None:
        with suppress(OSError, AttributeError, ValueError):
            if not self.rfile.read(1):
                replica.sock.shutdown(2)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Log nothing."""


class _BalancerServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@dataclass
class Replicas:
    """Running replicas and their balancer."""

    servers: Sequence[HttpDriver]
    balancer: Balancer

    def client(self, revision: str = MODERN, headers: dict[str, str] | None = None) -> HttpDriver:
        """A client that knows only the balancer's address."""
        first = self.servers[0]
        driver = HttpDriver(first.process, revision, first.errors, port=self.balancer.port, headers=headers or {})
        driver.handshake()
        return driver

    def kill(self, index: int) -> None:
        """Kill a replica, without any cleanup."""
        self.servers[index].process.kill()
        self.servers[index].process.wait()


@contextmanager
def serving_replicas(
    url: str, api_key: str, count: int = 3, headers: dict[str, str] | None = None, /, **variables: str
) -> Iterator[Replicas]:
    """Run ``count`` replicas for the region at ``url``, behind a balancer."""
    with ExitStack() as stack:
        settings = {"MAAS_MCP_SECRET": SECRET, **variables}
        servers = [stack.enter_context(serving_http(url, api_key, MODERN, headers, **settings)) for _ in range(count)]
        balancer = Balancer([each.port for each in servers])
        handler = type("Forwarding", (_Forwarding,), {"balancer": balancer})
        server = _BalancerServer(("127.0.0.1", 0), handler)
        balancer.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        yield Replicas(servers, balancer)
