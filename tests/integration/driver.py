"""A raw MCP client: exchanges JSON lines with a real ``maas-mcp serve``, without an SDK."""

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
from tests.integration.server_process import ServerProcess, start_server

Message = dict[str, Any]

MODERN = "2026-07-28"
ERAS = ("2024-11-05", "2025-11-25", MODERN)
TIMEOUT = 60.0
"""Seconds to wait for an expected event, on the busiest machine."""
PROMPT = 10.0
"""Seconds within which something prompt must happen, on an idle machine."""
PROMPT_STARTS, PROMPT_FORKS = 10.0, 100.0
"""The same on a busy machine, as a multiple of the start-up time of a server and of a forked server."""
UNCONFIRMED = '{"modes": {"standard": {"destroy": "allow"}}, "limits": {"erase": {}}}'
"""The policy of servers for clients that neither plan nor answer: a call may destroy something without either."""
LONG_WAIT = 50
"""Seconds for a call to wait for the end: shorter than :data:`TIMEOUT`, so that the response says what is wrong."""


def is_response(message: Message, request_id: int | str) -> bool:
    """Whether a message is the response to a request. The server's own requests have ids as well."""
    return message.get("id") == request_id and "method" not in message


def command(*args: str) -> list[str]:
    """The command line of the installed ``maas-mcp``, as in a client's configuration."""
    return [str(Path(sysconfig.get_path("scripts")) / "maas-mcp"), *args]


def eventually(happened: Callable[[], Any], what: str, timeout: float = TIMEOUT) -> Any:
    """Wait until ``happened()`` is true, and return its result."""
    deadline = time.monotonic() + timeout
    while not (result := happened()):
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s"
        time.sleep(0.005)
    return result


def advance_to(region: SimulatedRegion, host: str, milestone: str) -> None:
    """Advance a region's clock until its log shows the machine at a milestone, such as ``Installing OS``.

    The region's clock must be stopped, so that the machine stays there however slow the server is. Waits first for
    the operation to start if the machine is Ready or Allocated.
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
    raise AssertionError(f"{host} did not reach {milestone!r} within an hour")


def advance_and_await(server: "Driver", region: SimulatedRegion, host: str, *milestones: str) -> None:
    """Advance a machine to each milestone, and wait until the server has reported it."""
    for milestone in milestones:
        advance_to(region, host, milestone)
        server.wait_for_progress(milestone)


def check_requests_stop(region: SimulatedRegion, within: float = 2.0) -> None:
    """Check that a region receives no more requests, except for one that was already sent."""
    arrived = region.requests.total
    time.sleep(within)  # long enough for several polls
    assert region.requests.total - arrived <= 1


@dataclass
class Driver:
    """A running server and a client that speaks a given protocol revision."""

    process: ServerProcess
    revision: str
    errors: Path
    """The file that receives the server's stderr. An unread pipe would fill up and block the server."""
    prompt: float = PROMPT
    """Seconds within which something prompt must happen, on a machine as busy as it was when the server started.

    The delays that tests inject last a minute or longer.
    """
    capabilities: Message = field(default_factory=dict)
    """The client's capabilities, in ``initialize`` or in each request."""
    received: list[Message] = field(default_factory=list)
    """All messages of the server, in order. None is ever removed."""
    _received_more: threading.Condition = field(default_factory=threading.Condition)
    _closed_because: str | None = None
    """Why the server sends no more messages."""
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _progress_waited_for: int = 0
    """The number of messages that :meth:`wait_for_progress` has checked."""

    def __post_init__(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        reason = "the server closed its stdout"
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:  # only JSON is allowed on the wire
                reason = f"the server wrote a line that is not JSON: {line!r}"
                break
            with self._received_more:
                self.received.append(message)
                self._received_more.notify_all()
        with self._received_more:
            self._closed_because = reason
            self._received_more.notify_all()

    def send(self, message: Message) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def start_request(self, method: str, params: Message | None = None, *, token: str | int | None = None) -> int:
        """Send a request and return its id."""
        request_id = next(self._ids)
        meta: Message = {**(params or {}).get("_meta", {}), **({} if token is None else {"progressToken": token})}
        if self.revision == MODERN:
            meta["io.modelcontextprotocol/protocolVersion"] = MODERN
            meta["io.modelcontextprotocol/clientInfo"] = {"name": "driver", "version": "1"}
            meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities
        full = {**(params or {}), **({"_meta": meta} if meta else {})}
        self.send({"id": request_id, "method": method, "params": full})
        return request_id

    def response(self, request_id: int | str) -> Message | None:
        """The response to a request, if it has arrived."""
        return next((each for each in list(self.received) if is_response(each, request_id)), None)

    def wait(self, request_id: int | str, timeout: float = TIMEOUT) -> Message:
        """Wait for the response to a request, among any other messages."""
        return self.received[self._find(lambda each: is_response(each, request_id), timeout)]

    def wait_for_progress(self, text: str = "", timeout: float = TIMEOUT) -> Message:
        """Wait for the next progress notification whose message contains ``text``. Each is returned only once."""

        def is_wanted(message: Message) -> bool:
            if message.get("method") != "notifications/progress":
                return False
            return text in message["params"].get("message", "")

        at = self._find(is_wanted, timeout, self._progress_waited_for)
        self._progress_waited_for = at + 1
        return self.received[at]

    def _find(self, wanted: Callable[[Message], bool], timeout: float, start: int = 0) -> int:
        """Wait for a message from ``received[start]`` on. Returns its index."""
        deadline = time.monotonic() + timeout
        checked = start
        with self._received_more:
            while True:
                for index in range(checked, len(self.received)):
                    if wanted(self.received[index]):
                        return index
                checked = max(checked, len(self.received))
                assert self._closed_because is None, (
                    f"{self._closed_because}; received {self.received[-5:]}; {self.log()[-2000:]}"
                )
                remaining = deadline - time.monotonic()
                assert remaining > 0, f"not received within {timeout} s; received {self.received[-5:]}"
                self._received_more.wait(remaining)

    def wait_for(self, method: str, wanted: Callable[[Message], bool] = bool, timeout: float = TIMEOUT) -> Message:
        """Wait for a message of the server whose method is ``method`` and whose parameters are ``wanted``."""
        at = self._find(lambda each: each.get("method") == method and wanted(each["params"]), timeout)
        return self.received[at]

    def error(self, method: str, params: Message | None = None) -> Message:
        """Send a request and wait for its error."""
        response = self.wait(self.start_request(method, params))
        assert "error" in response, response
        error: Message = response["error"]
        return error

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
        """Cancel a request. Returns the number of messages received until the server has read this."""
        params: Message = {"requestId": request_id, "reason": "the user pressed stop"}
        self.send({"method": "notifications/cancelled", "params": params})
        barrier = self.start_request("tools/list")  # the server reads messages in order
        return self._find(lambda each: is_response(each, barrier), TIMEOUT) + 1

    def messages_of(self, request_id: int, token: str | int, after: int = 0) -> list[Message]:
        """The messages about a call after the first ``after`` ones: its response, and progress with its token."""
        return [
            each
            for each in self.received[after:]
            if is_response(each, request_id) or each.get("params", {}).get("progressToken") == token
        ]

    def handshake(self) -> None:
        """Open the connection as a client of this revision would."""
        if self.revision == MODERN:
            assert MODERN in self.request("server/discover")["supportedVersions"]
            return
        result = self.request(
            "initialize",
            {
                "protocolVersion": self.revision,
                "capabilities": self.capabilities,
                "clientInfo": {"name": "driver", "version": "1"},
            },
        )
        assert result["protocolVersion"] == self.revision
        self.send({"method": "notifications/initialized"})

    def note_start(self, seconds: float) -> None:
        """Adapt :attr:`prompt` to the machine, by how long the server took to start."""
        starts = PROMPT_STARTS if isinstance(self.process, subprocess.Popen) else PROMPT_FORKS
        self.prompt = max(PROMPT, starts * seconds)

    def progress(self, token: str | int | None = None) -> list[Message]:
        """All progress notifications so far, or those with ``token``."""
        params = [each["params"] for each in list(self.received) if each.get("method") == "notifications/progress"]
        return [each for each in params if token is None or each["progressToken"] == token]

    def log(self) -> str:
        """The server's stderr so far."""
        return self.errors.read_text(encoding="utf-8")

    def close_stdin(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def stop(self, how: str) -> tuple[int, float]:
        """Stop the server by ``EOF``, ``SIGTERM`` or ``SIGINT``. Returns its exit code and the seconds it took."""
        started = time.monotonic()
        if how == "EOF":
            self.close_stdin()
        else:
            self.process.send_signal(signal.Signals[how])
        code = self.process.wait(timeout=TIMEOUT)
        return code, time.monotonic() - started


def environment(url: str, api_key: str, **variables: str) -> dict[str, str]:
    """The environment of a server for the region at ``url``, without other MAAS variables of this process."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAAS_")}
    settings = {"MAAS_URL": url, "MAAS_API_KEY": api_key, "MAAS_MCP_CONFIG": "", "MAAS_MCP_POLL_INTERVAL": "0.05"}
    return {**inherited, **settings, "MAAS_MCP_POLICY": UNCONFIRMED, **variables}


@contextmanager
def serving_stdio(
    url: str,
    api_key: str,
    revision: str = MODERN,
    *,
    handshake: bool = True,
    module: str = "",
    capabilities: Any = None,
    program: list[str] | None = None,
    **variables: str,
) -> Iterator[Driver]:
    """Run ``maas-mcp serve`` or another module for the region at ``url``, with a connected client."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile(prefix="maas-mcp-stderr-") as errors:
        process = start_server(
            [sys.executable, "-m", module] if module else [*(program or command()), "serve"],
            errors,
            environment(url, api_key, **variables),
            pipes=True,
            fork=program is None,
        )
        driver = Driver(process, revision, Path(errors.name), capabilities=capabilities or {})
        try:
            if handshake:
                driver.handshake()
                driver.note_start(time.monotonic() - began)
            yield driver
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
