"""Every way in which a call can end: two protocol eras, two transports, with and without a progress token.

Each call deploys a machine with ``on_cancel: abort``, so that the test would see an abort that nobody asked for. The
region's clock stands still: a machine changes its state only if the server makes MAAS change it.
"""

import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from maas_mcp.server.http.runner import GRACE
from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.driver import (
    MODERN,
    PROMPT_STARTS,
    Driver,
    advance_to,
    command,
    environment,
    eventually,
    serving_stdio,
)
from tests.integration.http_driver import ACCEPT, HttpDriver, serving_http

LEGACY = "2025-11-25"
TOKENS = (None, "token")
MARK = "MAAS_MCP_TEST_MARK"
"""A variable in the environment of a server, which its children inherit."""
UNREAD = {"EOF": 20, "SIGTERM": 400, "SIGINT": 400}
"""Lists of tools that fill every buffer between the server and a client that does not read. At the end of input the
server answers all requests that came before it; after a signal it answers none."""
PIPELINED = 300
"""The same over HTTP, where the kernel's buffers hold several megabytes."""


@dataclass(frozen=True)
class Ending:
    """One way to end a call, and what must follow."""

    transport: str
    revision: str
    how: str
    aborts: bool = False
    """Whether MAAS aborts the deployment."""
    stops_following: bool = True
    """Whether the call ends."""

    def __str__(self) -> str:
        return f"{self.transport}-{self.revision}-{self.how}"


ENDINGS = (
    Ending("stdio", LEGACY, "cancel", aborts=True),
    Ending("stdio", MODERN, "cancel", aborts=True),
    Ending("http", LEGACY, "cancel", aborts=True),
    Ending("http", MODERN, "cancel"),  # by closing its stream, which looks like a lost connection
    Ending("http", LEGACY, "close the stream", stops_following=False),  # the session goes on
    Ending("http", MODERN, "close the stream"),
)
STOPS = tuple(
    (transport, revision, how)
    for transport, hows in (("stdio", ("EOF", "SIGTERM", "SIGINT")), ("http", ("SIGTERM", "SIGINT")))
    for revision in (LEGACY, MODERN)
    for how in hows
)


@dataclass(frozen=True)
class Scene:
    """A region with a stopped clock, and a server for it."""

    region: SimulatedRegion
    server: Driver
    mark: str
    hosts: Iterator[str]
    """Machines that no other test uses."""

    def deploy(self, token: str | None) -> tuple[int, str]:
        """Start a deployment. Returns the id of the call, which follows it, and the machine's name."""
        host = next(self.hosts)
        system_id = self.region.machine(host).system_id
        call = self.server.start_call("maas_deploy_machine", token, system_id=system_id, on_cancel="abort")
        eventually(lambda: self.region.machine(host).status_name == "Deploying", f"the start on {host}")
        eventually(self.polls, "a poll")
        return call, host

    def polls(self) -> int:
        return sum(each.path.endswith("/events/") for each in self.region.requests)

    def aborted(self, host: str) -> bool:
        """Whether MAAS was asked to abort."""
        path = f"/machines/{self.region.machine(host).system_id}/"
        return any(each.op == "abort" and each.path.endswith(path) for each in self.region.requests)


@contextmanager
def scene(transport: str, revision: str) -> Iterator[Scene]:
    region, mark = demo_region(speed=0.0), uuid.uuid4().hex
    serving_mcp: Callable[..., Iterator[Driver]] = serving_stdio if transport == "stdio" else serving_http  # type: ignore[assignment]
    with serving(region) as url, serving_mcp(url, region.api_key, revision, **{MARK: mark}) as server:  # type: ignore[attr-defined]
        yield Scene(region, server, mark, iter([f"node{number:02}" for number in (1, 2, 3, 4, 5)]))


@pytest.fixture(scope="module")
def scenes() -> Iterator[Callable[[str, str], Scene]]:
    """The servers that survive, one for each transport and era."""
    with ExitStack() as stack:
        yield cache(lambda transport, revision: stack.enter_context(scene(transport, revision)))


def processes(mark: str) -> list[int]:
    """The processes that have a mark in their environment: a server and its children."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("ending", ENDINGS, ids=str)
def test_an_ended_call_is_silent_and_maas_does_what_the_client_asked_for(
    scenes: Callable[[str, str], Scene], ending: Ending, token: str | None
) -> None:
    here = scenes(ending.transport, ending.revision)
    call, host = here.deploy(token)

    if ending.how == "cancel":
        after = here.server.cancel(call)
    else:
        assert isinstance(here.server, HttpDriver)
        here.server.close_stream(call)
        assert not here.server.call("maas_list_machines").get("isError")
        after = len(here.server.received)
    if ending.aborts:
        eventually(lambda: here.region.machine(host).status_name == "Allocated", "the abort")
    else:
        advance_to(here.region, host, "Performing PXE boot")
    before = here.polls()
    if ending.stops_following:
        assert not here.server.call("maas_list_machines").get("isError"), "the server serves on"
        assert here.polls() - before <= 1
    else:
        eventually(lambda: here.polls() > before, "another poll")

    assert here.aborted(host) is ending.aborts
    late = here.server.messages_of(call, "no token" if token is None else token, after)
    # HTTP before 2026-07-28 answers a cancelled request, because its stream must end.
    assert [each for each in late if "error" not in each] == []
    assert "result" not in (here.server.response(call) or {})
    assert "Traceback" not in here.server.log()


@pytest.mark.parametrize(("transport", "revision", "how"), STOPS)
def test_a_stopped_server_leaves_maas_at_work_and_no_process_behind(transport: str, revision: str, how: str) -> None:
    with scene(transport, revision) as here:
        calls = [here.deploy(token) for token in TOKENS]

        code, seconds = here.server.stop(how)

        assert code == 0
        assert seconds < here.server.prompt
        assert processes(here.mark) == []
        assert "Traceback" not in here.server.log()
        for call, host in calls:
            assert not here.aborted(host)
            assert here.region.machine(host).status_name == "Deploying"
            if transport == "http":
                text = here.server.wait(call)["result"]["content"][0]["text"]
                assert "continues in MAAS" in text
            else:
                assert "result" not in (here.server.response(call) or {})


@pytest.mark.parametrize("how", ["EOF", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
def test_a_client_that_does_not_read_cannot_keep_a_stdio_server_alive(revision: str, how: str) -> None:
    region, mark = demo_region(speed=0.0), uuid.uuid4().hex
    with serving(region) as url:
        variables = environment(url, region.api_key, **{MARK: mark})
        pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command("serve"), env=variables, **pipe) as process:  # type: ignore[call-overload]
            driver = MutedDriver(process, revision, Path(os.devnull))
            began = time.monotonic()
            driver.greet()
            machine = region.machine("node01")
            driver.start_call("maas_deploy_machine", "token", system_id=machine.system_id, on_cancel="abort")
            eventually(lambda: machine.status_name == "Deploying", "the deployment")
            driver.prompt = max(driver.prompt, PROMPT_STARTS * (time.monotonic() - began))
            for _ in range(UNREAD[how]):
                driver.start_request("tools/list")

            code, seconds = driver.stop(how)

        assert (code, processes(mark)) == (0, [])
        assert seconds < driver.prompt
        assert machine.status_name == "Deploying"


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
def test_an_http_client_that_does_not_read_blocks_neither_others_nor_the_end(revision: str) -> None:
    with scene("http", revision) as here, socket.socket() as muted:
        server = here.server
        assert isinstance(server, HttpDriver)
        muted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        muted.connect(("127.0.0.1", server.port))
        muted.setblocking(False)  # the server stops reading as well
        with suppress(BlockingIOError):
            for _ in range(PIPELINED):
                muted.send(list_request(server))

        call, host = here.deploy("token")
        code, seconds = server.stop("SIGTERM")

        assert code == 0
        assert seconds < GRACE + server.prompt
        assert "continues in MAAS" in server.wait(call)["result"]["content"][0]["text"]
        assert not here.aborted(host)


def list_request(server: HttpDriver) -> bytes:
    """A request for the list of tools."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "muted", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}})
    session = f"Mcp-Session-Id: {server.session}\r\n" if server.session else "Mcp-Method: tools/list\r\n"
    return (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        f"Accept: {ACCEPT}\r\nMcp-Protocol-Version: {server.revision}\r\n{session}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class MutedDriver(Driver):
    """A client that writes and never reads."""

    def __post_init__(self) -> None:
        """Start no thread that reads."""

    def greet(self) -> None:
        """Open the connection without waiting for an answer."""
        if self.revision == MODERN:
            return
        hello = {"protocolVersion": self.revision, "capabilities": {}, "clientInfo": {"name": "muted", "version": "1"}}
        self.start_request("initialize", hello)
        self.send({"method": "notifications/initialized"})
