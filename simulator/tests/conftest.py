"""A region with a manual clock, and a client that signs its requests."""

import secrets
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import hypothesis
import pytest

from maas_simulator import SimulatedRegion, create_app, create_control_app, demo_region

collect_ignore = [] if find_spec("maas") else ["libmaas"]
"""python-libmaas is old and has its own environment: ``tox -e libmaas``."""

# Examples may be slow on a busy machine. Tests assert durations where they matter.
hypothesis.settings.register_profile("thorough", deadline=None)
hypothesis.settings.load_profile("thorough")

Said = tuple[str, str, str]
"""Level, type and description of an event."""


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds


def signed_by(key: str, **changes: str | None) -> dict[str, str]:
    """An ``Authorization`` header as MAAS's own client sends it; None leaves a parameter out."""
    consumer, token, secret = key.split(":")
    parameters: dict[str, str | None] = {
        "oauth_nonce": secrets.token_hex(16),
        "oauth_timestamp": str(int(time.time())),
        "oauth_version": "1.0",
        "oauth_signature_method": "PLAINTEXT",
        "oauth_consumer_key": consumer,
        "oauth_token": token,
        "oauth_signature": f"&{secret}",
        **changes,
    }
    pairs = (f'{name}="{quote(value, safe="")}"' for name, value in parameters.items() if value is not None)
    return {"Authorization": "OAuth " + ", ".join(pairs)}


class Maas:
    """An API client of a region, in process; every request is signed with a new nonce."""

    def __init__(self, region: SimulatedRegion, key: str) -> None:
        self.region = region
        self.key = key

    def signed(self, **changes: str | None) -> dict[str, str]:
        return signed_by(self.key, **changes)

    def send(self, method: str, path: str, headers: Mapping[str, str] | None = None, **body: Any) -> httpx.Response:
        async def exchange() -> httpx.Response:
            transport = httpx.ASGITransport(create_app(self.region))
            async with httpx.AsyncClient(transport=transport, base_url="http://maas/MAAS/api/2.0/") as client:
                return await client.request(method, path, headers=self.signed() if headers is None else headers, **body)

        return anyio.run(exchange)

    def get(self, path: str) -> httpx.Response:
        return self.send("GET", path)

    def post(self, path: str, **form: str | list[str]) -> httpx.Response:
        return self.send("POST", path, data=form)

    def read(self, hostname: str) -> dict[str, Any]:
        machine: dict[str, Any] = self.get(f"machines/{self.region.machine(hostname).system_id}/").json()
        return machine

    def op(self, hostname: str, op: str, **form: str) -> httpx.Response:
        return self.post(f"machines/{self.region.machine(hostname).system_id}/?op={op}", **form)

    def said(self, hostname: str, after: int = 0, level: str = "DEBUG") -> list[Said]:
        query = f"id={self.region.machine(hostname).system_id}&level={level}&after={after}&limit=1000"
        events = self.get(f"events/?op=query&{query}").json()["events"]
        return [(event["level"], event["type"], event["description"]) for event in reversed(events)]

    def cursor(self) -> int:
        self.region.play()
        return self.region.log.next_id - 1


class Control:
    """A client of a region's control API."""

    def __init__(self, region: SimulatedRegion) -> None:
        self.app = create_control_app(region)

    def __call__(self, method: str, path: str, given: Any = None, **more: Any) -> tuple[int, Any]:
        async def exchange() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
                return await client.request(method, path, **({"json": given} if given is not None else {}), **more)

        answer = anyio.run(exchange)
        assert answer.headers["content-type"] == "application/json"
        return answer.status_code, answer.json()

    def refused(self, method: str, path: str, given: Any = None, **more: Any) -> str:
        status, answer = self(method, path, given, **more)
        assert status == 400
        assert set(answer) == {"error"}
        message: str = answer["error"]
        return message


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def region(clock: Clock) -> SimulatedRegion:
    return demo_region(speed=1.0, clock=clock)


@pytest.fixture
def admin(region: SimulatedRegion) -> Maas:
    return Maas(region, region.api_key)


@pytest.fixture
def bob(region: SimulatedRegion) -> Maas:
    return Maas(region, region.api_key_of("bob"))


@pytest.fixture
def control(region: SimulatedRegion) -> Control:
    return Control(region)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the results of the simulator's contract for each recording, if its tests ran."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    properties = [each for report in reports for each in getattr(report, "user_properties", ())]
    for recording in ("first", "second"):
        rows = [value for name, value in properties if name == f"contract {recording}"]
        if rows:
            from simulator.tests.contract.table import Row, lines  # noqa: PLC0415 - not every run needs the simulator

            terminalreporter.section(f"the simulator's contract with MAAS 3.7.3, {recording} recording")
            for line in lines(sorted({Row(*each) for each in rows}, key=lambda row: row.topic)):
                terminalreporter.write_line(line)
