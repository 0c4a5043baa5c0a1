"""A raw MCP client over Streamable HTTP: one connection for each request, with no SDK in between."""

import json
import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from mcp.shared.inbound import encode_header_value

from tests.integration.driver import (
    MODERN,
    TIMEOUT,
    Driver,
    Message,
    command,
    environment,
    eventually,
    is_response,
)
from tests.integration.server_process import start_server

ACCEPT = "application/json, text/event-stream"


@dataclass
class HttpDriver(Driver):
    """One running server and one client; several clients of one server share its process."""

    port: int = 0
    session: str | None = None
    """The id of the session, for clients before 2026-07-28."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of each request."""
    _open: dict[int | str, socket.socket] = field(default_factory=dict)
    """The connections whose responses have not ended, by the ids of their requests."""

    def __post_init__(self) -> None:
        """Nothing listens: each request has a response of its own."""

    def send(self, message: Message) -> None:
        """POST a message. The response to a request is read in a thread; that to a notification is awaited."""
        if "id" in message:
            threading.Thread(target=self._exchange, args=(message,), daemon=True).start()
        else:
            self._exchange(message)

    def post(self, message: Message, path: str = "/mcp", /, **headers: str) -> tuple[HTTPConnection, Any]:
        """Send a message by a connection of its own, and return the head of the response."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        given = {"Content-Type": "application/json", "Accept": ACCEPT, **self.headers}
        if self.session is not None:
            given["Mcp-Session-Id"] = self.session
        if message.get("method") != "initialize":
            given["Mcp-Protocol-Version"] = self.revision
        if self.revision == MODERN:
            given["Mcp-Method"] = message["method"]
            params = message.get("params", {})
            name = params.get("name") or params.get("uri") or params.get("taskId")
            if name and isinstance(name, str):
                given["Mcp-Name"] = encode_header_value(name)
        connection.request("POST", path, json.dumps({"jsonrpc": "2.0", **message}), {**given, **headers})
        if "id" in message:
            self._open[message["id"]] = connection.sock
        return connection, connection.getresponse()

    def _exchange(self, message: Message) -> None:
        connection = None
        try:
            connection, response = self.post(message)
            if session := response.getheader("Mcp-Session-Id"):
                self.session = session
            if response.getheader("Content-Type", "").startswith("text/event-stream"):
                for line in response:
                    if line.startswith(b"data: {"):
                        self._note(json.loads(line.removeprefix(b"data: ")))
            elif body := response.read():
                self._note(json.loads(body))
            if message.get("id") in self._open and self.response(message["id"]) is None:
                self._note({"id": message["id"], "error": {"message": "the stream ended without a response"}})
        except (OSError, HTTPException, ValueError, AttributeError) as error:
            # http.client raises these where close_stream() takes the connection away while it is read.
            if message.get("id") in self._open:
                self._note({"id": message.get("id"), "error": {"message": f"the connection failed: {error!r}"}})
        finally:
            self._open.pop(message.get("id", ""), None)
            if connection is not None:
                connection.close()

    def _note(self, message: Message) -> None:
        with self._received_more:
            self.received.append(message)
            self._received_more.notify_all()

    def close_stream(self, request_id: int) -> None:
        """Close the response stream of a request, as a client does that no longer wants it or is gone."""
        with suppress(OSError):
            self._open.pop(request_id).shutdown(socket.SHUT_RDWR)

    def cancel(self, request_id: int) -> int:
        """Cancel a request as its revision says; answers with how many messages had come when the server knew it."""
        if self.revision == MODERN:
            self.close_stream(request_id)
        else:
            self.send({"method": "notifications/cancelled", "params": {"requestId": request_id}})
            # The end of the call's stream comes by a connection of its own, and so in any order with other answers.
            self._find(lambda each: is_response(each, request_id), TIMEOUT)
        self.request("tools/list")
        return len(self.received)

    @contextmanager
    def standing_stream(self) -> Iterator[None]:
        """Receive the session's notifications during the block, by a GET as of revisions before 2026-07-28."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        headers = {"Mcp-Session-Id": self.session or "", "Mcp-Protocol-Version": self.revision, **self.headers}
        connection.request("GET", "/mcp", headers={**headers, "Accept": "text/event-stream"})
        response = connection.getresponse()
        assert response.status == HTTPStatus.OK

        def listen() -> None:
            with suppress(OSError, HTTPException, ValueError, AttributeError):  # raised when the block ends
                for line in response:
                    if line.startswith(b"data: {"):
                        self._note(json.loads(line.removeprefix(b"data: ")))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield
        finally:
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(2)
            thread.join(TIMEOUT)
            response.close()
            connection.close()

    def close_session(self) -> None:
        """End the session, as a client before 2026-07-28 does when it leaves."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        headers = {"Mcp-Session-Id": self.session or "", "Mcp-Protocol-Version": self.revision, **self.headers}
        connection.request("DELETE", "/mcp", headers=headers)
        assert connection.getresponse().status == HTTPStatus.OK
        connection.close()

    def get(self, path: str, **headers: str) -> tuple[int, Message]:
        """GET a page for operators."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        status, body = response.status, json.loads(response.read())
        connection.close()
        return status, body


@contextmanager
def serving_http(
    url: str,
    api_key: str,
    revision: str = MODERN,
    headers: dict[str, str] | None = None,
    program: list[str] | None = None,
    /,
    *,
    capabilities: Any = None,
    address: str = "127.0.0.1:0",
    **variables: str,
) -> Iterator[HttpDriver]:
    """A ``maas-mcp serve --http`` for the region at ``url``, with a client that has shaken hands."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile(prefix="maas-mcp-stderr-") as errors:
        process = start_server(
            [*(program or command()), "serve", "--http", address],
            errors,
            environment(url, api_key, **variables),
            pipes=False,
            fork=program is None,
        )
        driver = HttpDriver(
            process, revision, Path(errors.name), headers=headers or {}, capabilities=capabilities or {}
        )
        try:

            def find_address() -> re.Match[str] | None:
                assert process.poll() is None, driver.log()
                return re.search(r"http://127\.0\.0\.1:(\d+)/mcp", driver.log())

            served = eventually(find_address, "the server's start")
            driver.port = int(served[1])
            driver.handshake()
            driver.note_start(time.monotonic() - began)
            yield driver
        finally:
            process.kill()
            process.wait()
