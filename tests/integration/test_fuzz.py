"""Fuzzed messages and arguments: each is answered or dropped, memory stays flat, and the server keeps serving.

    pytest tests/integration/test_fuzz.py --fuzz 100000

Each message comes from a seeded generator, so a failure can be repeated.
"""

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPResponse
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.driver import MODERN, TIMEOUT, Driver, Message, eventually, serving_stdio
from tests.integration.fuzzing import Fuzz, Fuzzed
from tests.integration.http_driver import ACCEPT, serving_http

ERAS = ("2025-11-25", MODERN)
SEED: Final = 20_260_728
BATCH: Final = 100
"""Messages that are sent before their responses are awaited."""
CLIENTS: Final = 4
"""Concurrent HTTP clients."""
GROWTH: Final = 24 * 1024 * 1024
"""Maximum growth of the server's memory after the first third, in bytes."""
UNLIMITED = {"MAAS_MCP_HTTP_RATE": "10000"}
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def count(request: pytest.FixtureRequest) -> int:
    """The number of messages for each transport and era."""
    return int(request.config.getoption("--fuzz"))


@pytest.fixture
def region() -> SimulatedRegion:
    return demo_region(speed=400.0)


def resident(server: Driver) -> int:
    """The resident memory of a server's process in bytes."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE


def fuzz_for(server: Driver, region: SimulatedRegion) -> Fuzz:
    tools = server.request("tools/list")["tools"]
    return Fuzz(SEED, server.revision, tools, [each.system_id for each in region.machines.values()])


def check_growth(measured: Sequence[int], record: Callable[[str, object], None]) -> None:
    """Check the memory from the first third of the measurements on, and report it."""
    third, last = measured[len(measured) // 3], measured[-1]
    record("memory_after_a_third_mb", third // 1_000_000)
    record("memory_at_the_end_mb", last // 1_000_000)
    assert last - third < GROWTH, [each // 1_000_000 for each in measured[:: max(1, len(measured) // 20)]]


def check_a_normal_call_works(server: Driver) -> None:
    assert not server.call("maas_list_machines").get("isError")
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("revision", ERAS)
def test_stdio_survives_fuzzed_lines(
    region: SimulatedRegion, revision: str, count: int, record_property: Callable[[str, object], None]
) -> None:
    with serving(region) as url, serving_stdio(url, region.api_key, revision) as server:
        messages, measured = fuzz_for(server, region).messages(count), []
        while batch := list(islice(messages, BATCH)):
            send_lines(server, batch)
            measured.append(resident(server))

        check_a_normal_call_works(server)
        check_growth(measured, record_property)
        assert server.stop("EOF")[0] == 0


def send_lines(server: Driver, batch: Sequence[Fuzzed]) -> None:
    """Send lines, and wait until each request among them has its one response."""
    wanted = {each.request_id for each in batch if each.request_id}
    server.received.clear()
    assert server.process.stdin
    server.process.stdin.write(b"".join(each.line + b"\n" for each in batch))
    server.process.stdin.flush()
    server.request("tools/list")  # the server has read everything before
    missing = set(wanted)

    def all_answered() -> bool:
        missing.difference_update(str(each.get("id")) for each in list(server.received) if "method" not in each)
        return not missing

    try:
        eventually(all_answered, "a response to each request")
    except AssertionError:
        raise AssertionError([each.line[:500] for each in batch if each.request_id in missing]) from None
    times = Counter(each.get("id") for each in server.received if "method" not in each)
    assert all(times[request_id] == 1 for request_id in wanted), times.most_common(3)


@pytest.mark.parametrize("revision", ERAS)
def test_http_survives_fuzzed_requests(
    region: SimulatedRegion, revision: str, count: int, record_property: Callable[[str, object], None]
) -> None:
    with serving(region) as url, serving_http(url, region.api_key, revision, None, **UNLIMITED) as server:
        crowd = HttpCrowd(server.port, revision, server.session, fuzz_for(server, region).messages(count))
        threads = [threading.Thread(target=crowd.run, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        measured = [resident(server)]
        while any(thread.is_alive() for thread in threads):
            next(thread for thread in threads if thread.is_alive()).join(0.25)
            measured.append(resident(server))

        assert crowd.failures == []
        record_property("statuses", dict(crowd.statuses))
        check_a_normal_call_works(server)
        check_growth(measured, record_property)
        assert server.stop("SIGTERM")[0] == 0


class HttpCrowd:
    """Clients that post fuzzed messages over connections of their own, until none is left or one failed."""

    def __init__(
        self,
        port: int,
        revision: str,
        session: str | None,
        messages: Iterator[Fuzzed],
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.failures: list[str] = []
        self.statuses: Counter[int] = Counter()
        self._port = port
        self._revision = revision
        self._session = session
        self._messages = messages
        self._given = headers
        self._lock = threading.Lock()

    def run(self, number: int) -> None:
        """Post messages."""
        chance, connection = random.Random(SEED + number), HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        while (message := self._next()) is not None and not self.failures:
            headers = self._headers(message, chance)
            try:
                connection.request("POST", "/mcp", message.line, headers)
                response = connection.getresponse()
                problem = self._problem(message, response, response.read())
            except OSError as error:
                problem = repr(error)
            if problem:
                self.failures.append(f"{problem}: {message.line[:500]!r} with {headers}")
        connection.close()

    def _next(self) -> Fuzzed | None:
        with self._lock:
            return next(self._messages, None)

    def _headers(self, message: Fuzzed, chance: random.Random) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": ACCEPT, "Mcp-Protocol-Version": self._revision}
        headers |= self._given
        if self._session is not None:
            headers["Mcp-Session-Id"] = self._session
        if self._revision == MODERN and message.request_id:
            headers["Mcp-Method"] = message.method.strip()
            params = json.loads(message.line)["params"]
            name = params.get("name") or params.get("uri")
            if isinstance(name, str) and name.isascii() and name.isprintable():
                headers["Mcp-Name"] = name[:1000]
        if chance.random() < 0.1:
            changed = chance.choice((*headers, "Last-Event-ID", "Content-Encoding", "Origin"))
            headers[changed] = chance.choice(("", "x", "null", "2025-03-26", "\xff", "a" * 5000, "application/json"))
        return headers

    def _problem(self, message: Fuzzed, response: HTTPResponse, body: bytes) -> str:
        """What is wrong with a response, if anything is."""
        self.statuses[response.status] += 1
        if response.status >= 500:
            return f"status {response.status} {body[:300]!r}"
        if response.status != 200 or message.request_id is None:
            return ""
        if response.getheader("Content-Type", "").startswith("text/event-stream"):
            lines = [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: {")]
        else:
            lines = [body]
        answers: list[Message] = [each for each in map(json.loads, lines) if "method" not in each]
        if [each.get("id") for each in answers] != [message.request_id]:
            return f"answered by {str(answers)[:300]}"
        return ""
