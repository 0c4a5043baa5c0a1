"""A raw MCP client: JSON lines to a real ``maas-mcp serve`` and back, with no SDK in between."""

import json
import os
import queue
import signal
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Message = dict[str, Any]

MODERN = "2026-07-28"
ERAS = ("2024-11-05", "2025-11-25", MODERN)
PATIENCE = 15.0
"""Seconds after which something that has to happen counts as not happening."""


def command(*args: str) -> list[str]:
    """The installed ``maas-mcp``, as a client's configuration names it."""
    return [str(Path(sysconfig.get_path("scripts")) / "maas-mcp"), *args]


def eventually(happened: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until ``happened()`` is true, and answer with it."""
    deadline = time.monotonic() + patience
    while not (result := happened()):
        assert time.monotonic() < deadline, f"{what} did not happen within {patience} s"
        time.sleep(0.005)
    return result


@dataclass
class Driver:
    """One running server and one client of a given protocol revision."""

    process: subprocess.Popen[bytes]
    revision: str
    heard: list[tuple[float, Message]] = field(default_factory=list)
    """Everything that the server sent, with the time."""
    _inbox: "queue.Queue[Message]" = field(default_factory=queue.Queue)
    _ids: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def __post_init__(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            message = json.loads(line)  # a line that is not JSON ends the test: nothing else may be on the wire
            self.heard.append((time.monotonic(), message))
            self._inbox.put(message)

    def send(self, message: Message) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def start_request(self, method: str, params: Message | None = None, *, token: str | int | None = None) -> int:
        """Send a request and answer with its id."""
        request_id = next(self._ids)
        meta: Message = {} if token is None else {"progressToken": token}
        if self.revision == MODERN:
            meta["io.modelcontextprotocol/protocolVersion"] = MODERN
            meta["io.modelcontextprotocol/clientInfo"] = {"name": "driver", "version": "1"}
            meta["io.modelcontextprotocol/clientCapabilities"] = {}
        full = {**(params or {}), **({"_meta": meta} if meta else {})}
        self.send({"id": request_id, "method": method, "params": full})
        return request_id

    def wait(self, request_id: int | str, patience: float = PATIENCE) -> Message:
        """The response to a request."""
        return self._wait_for(lambda message: message.get("id") == request_id and "method" not in message, patience)

    def wait_for_progress(self, text: str = "", patience: float = PATIENCE) -> Message:
        """The next progress notification whose message holds ``text``."""
        return self._wait_for(
            lambda message: (
                message.get("method") == "notifications/progress" and text in message["params"].get("message", "")
            ),
            patience,
        )

    def _wait_for(self, wanted: Callable[[Message], bool], patience: float) -> Message:
        deadline = time.monotonic() + patience
        while True:
            try:
                message = self._inbox.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                raise AssertionError(f"not heard within {patience} s; heard {self.heard[-5:]}") from None
            if wanted(message):
                return message

    def request(self, method: str, params: Message | None = None) -> Message:
        """Send a request and wait for its result."""
        response = self.wait(self.start_request(method, params))
        assert "result" in response, response
        result: Message = response["result"]
        return result

    def start_call(self, tool: str, token: str | int | None = None, **arguments: Any) -> int:
        return self.start_request("tools/call", {"name": tool, "arguments": arguments}, token=token)

    def call(self, tool: str, **arguments: Any) -> Message:
        return self.request("tools/call", {"name": tool, "arguments": arguments})

    def cancel(self, request_id: int) -> float:
        """Cancel a request; answers with the time at which that was said."""
        params: Message = {"requestId": request_id, "reason": "the user pressed stop"}
        self.send({"method": "notifications/cancelled", "params": params})
        return time.monotonic()

    def handshake(self) -> None:
        """Open the connection as a client of this revision does."""
        if self.revision == MODERN:
            assert MODERN in self.request("server/discover")["supportedVersions"]
            return
        result = self.request(
            "initialize",
            {
                "protocolVersion": self.revision,
                "capabilities": {},
                "clientInfo": {"name": "driver", "version": "1"},
            },
        )
        assert result["protocolVersion"] == self.revision
        self.send({"method": "notifications/initialized"})

    def progress(self, token: str | int | None = None) -> list[Message]:
        """Every progress notification so far, or those for ``token``."""
        params = [each["params"] for _, each in self.heard if each.get("method") == "notifications/progress"]
        return [each for each in params if token is None or each["progressToken"] == token]

    def heard_after(self, moment: float) -> list[Message]:
        return [message for at, message in self.heard if at > moment]

    def close_stdin(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def stop(self, how: str) -> tuple[int, float]:
        """End the server by ``EOF``, ``SIGTERM`` or ``SIGINT``; answers with its exit code and the seconds it took."""
        started = time.monotonic()
        if how == "EOF":
            self.close_stdin()
        else:
            self.process.send_signal(signal.Signals[how])
        code = self.process.wait(timeout=PATIENCE)
        return code, time.monotonic() - started


def environment(url: str, api_key: str, **variables: str) -> dict[str, str]:
    """The environment of a server for the region at ``url``: nothing else of MAAS's that this process has."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAAS_")}
    settings = {"MAAS_URL": url, "MAAS_API_KEY": api_key, "MAAS_MCP_CONFIG": "", "MAAS_MCP_POLL_INTERVAL": "0.05"}
    return {**inherited, **settings, **variables}


@contextmanager
def serving_stdio(
    url: str, api_key: str, revision: str = MODERN, *, handshake: bool = True, **variables: str
) -> Iterator[Driver]:
    """A ``maas-mcp serve`` for the region at ``url``, with a client that has shaken hands."""
    process = subprocess.Popen(
        command("serve"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(url, api_key, **variables),
    )
    driver = Driver(process, revision)
    try:
        if handshake:
            driver.handshake()
        yield driver
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()
