"""A raw MCP client: JSON lines to a real ``maas-mcp serve`` and back, with no SDK in between."""

import itertools
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maas_simulator import SimulatedRegion

Message = dict[str, Any]

MODERN = "2026-07-28"
ERAS = ("2024-11-05", "2025-11-25", MODERN)
PATIENCE = 60.0
"""Seconds after which something that has to happen counts as not happening, on the busiest machine."""
AT_ONCE = 10.0
"""Seconds that something may take that waits for nothing, on an idle machine."""
STARTS_AT_ONCE = 10.0
"""The same on a busy machine, as a multiple of the seconds that the server took to start."""
LONG = 50
"""Seconds for a call to wait for an end: shorter than :data:`PATIENCE`, so that the answer says what is wrong."""


def is_response(message: Message, request_id: int | str) -> bool:
    """Whether a message is the response to a request; the server's own requests have ids, too."""
    return message.get("id") == request_id and "method" not in message


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


def bring(region: SimulatedRegion, host: str, milestone: str) -> None:
    """Move a region's clock until its own log has the machine at a milestone, such as ``Installing OS``.

    Of a region whose clock stands still otherwise: then the machine stays there, however slow the server is. A
    machine that is Ready or Allocated is waited for: its operation has not been started yet.
    """

    def is_there() -> bool:
        machine = region.machine(host)
        with region.lock:
            return any(each.system_id == machine.system_id and each.type == milestone for each in region.log.events)

    eventually(lambda: region.machine(host).status_name not in {"Ready", "Allocated"}, f"the start on {host}")
    for _ in range(3600):
        if is_there():
            return
        region.advance(1.0)
    raise AssertionError(f"{host} did not come to {milestone!r} within an hour")


def lead(server: "Driver", region: SimulatedRegion, host: str, *milestones: str) -> None:
    """Bring a machine to each of the milestones, and wait until the server has told of it."""
    for milestone in milestones:
        bring(region, host, milestone)
        server.wait_for_progress(milestone)


def check_left_alone(region: SimulatedRegion, within: float = 2.0) -> None:
    """A region gets no more requests, beyond one that was on its way already, however late that arrives."""
    arrived = region.requests.total
    time.sleep(within)  # the absence of something can only be waited for: polls would be more than one
    assert region.requests.total - arrived <= 1


@dataclass
class Driver:
    """One running server and one client of a given protocol revision."""

    process: subprocess.Popen[bytes]
    revision: str
    errors: Path
    """The file that the server's stderr goes to. A pipe that nobody reads would fill up, and stop the server."""
    at_once: float = AT_ONCE
    """Seconds that something may take that waits for nothing, on a machine as busy as it was when the server started.

    Whatever a test puts in its way lasts a minute or longer.
    """
    received: list[Message] = field(default_factory=list)
    """Everything that the server has sent, in its order. Nothing is ever taken out."""
    _received_more: threading.Condition = field(default_factory=threading.Condition)
    _silent: str | None = None
    """Why nothing more will be heard."""
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _progress_waited_for: int = 0
    """How many messages :meth:`wait_for_progress` has gone through."""

    def __post_init__(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        reason = "the server has closed its stdout"
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:  # nothing else may be on the wire
                reason = f"the server wrote what is not JSON: {line!r}"
                break
            with self._received_more:
                self.received.append(message)
                self._received_more.notify_all()
        with self._received_more:
            self._silent = reason
            self._received_more.notify_all()

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

    def response(self, request_id: int | str) -> Message | None:
        """The response to a request, if it has come."""
        return next((each for each in list(self.received) if is_response(each, request_id)), None)

    def wait(self, request_id: int | str, patience: float = PATIENCE) -> Message:
        """The response to a request, whatever else comes before or after it."""
        return self.received[self._find(lambda each: is_response(each, request_id), patience)]

    def wait_for_progress(self, text: str = "", patience: float = PATIENCE) -> Message:
        """The next progress notification whose message holds ``text``: each is waited for once at most."""

        def is_wanted(message: Message) -> bool:
            if message.get("method") != "notifications/progress":
                return False
            return text in message["params"].get("message", "")

        at = self._find(is_wanted, patience, self._progress_waited_for)
        self._progress_waited_for = at + 1
        return self.received[at]

    def _find(self, wanted: Callable[[Message], bool], patience: float, start: int = 0) -> int:
        """Wait for a message from ``received[start]`` on; answers with its index."""
        deadline = time.monotonic() + patience
        looked = start
        with self._received_more:
            while True:
                for index in range(looked, len(self.received)):
                    if wanted(self.received[index]):
                        return index
                looked = max(looked, len(self.received))
                assert self._silent is None, f"{self._silent}; heard {self.received[-5:]}; {self.log()[-2000:]}"
                remaining = deadline - time.monotonic()
                assert remaining > 0, f"not heard within {patience} s; heard {self.received[-5:]}"
                self._received_more.wait(remaining)

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

    def cancel(self, request_id: int) -> int:
        """Cancel a request; answers with how many messages were heard when the server had certainly taken that in."""
        params: Message = {"requestId": request_id, "reason": "the user pressed stop"}
        self.send({"method": "notifications/cancelled", "params": params})
        barrier = self.start_request("tools/list")  # a server takes messages in their order
        return self._find(lambda each: is_response(each, barrier), PATIENCE) + 1

    def said_of(self, request_id: int, token: str | int, after: int = 0) -> list[Message]:
        """What was heard of a call beyond the first ``after`` messages: its response, and progress for its token."""
        return [
            each
            for each in self.received[after:]
            if is_response(each, request_id) or each.get("params", {}).get("progressToken") == token
        ]

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
        params = [each["params"] for each in list(self.received) if each.get("method") == "notifications/progress"]
        return [each for each in params if token is None or each["progressToken"] == token]

    def log(self) -> str:
        """What the server has written to stderr so far."""
        return self.errors.read_text(encoding="utf-8")

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
    url: str,
    api_key: str,
    revision: str = MODERN,
    *,
    handshake: bool = True,
    module: str = "",
    **variables: str,
) -> Iterator[Driver]:
    """A ``maas-mcp serve`` for the region at ``url``, with a client that has shaken hands; or another module."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile(prefix="maas-mcp-stderr-") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module] if module else command("serve"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(url, api_key, **variables),
        )
        driver = Driver(process, revision, Path(errors.name))
        try:
            if handshake:
                driver.handshake()
                driver.at_once = max(AT_ONCE, STARTS_AT_ONCE * (time.monotonic() - began))
            yield driver
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
