"""MAAS 3.7.3's handling of connections, as recorded, over sockets of the test."""

import http.client
import select
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

from maas_simulator import SimulatedRegion, Status, demo_region, serving
from simulator.tests.contract.recording import Answer, Exchange
from simulator.tests.contract.sender import Sender

NODE01 = "7xneda"
LONG_ENOUGH = 5.0


@pytest.fixture
def region() -> SimulatedRegion:
    return demo_region(speed=0.0)


@pytest.fixture
def base_url(region: SimulatedRegion) -> Iterator[str]:
    with serving(region) as url:
        yield url


def deploy_of(name: str) -> Exchange:
    return Exchange("", "", "POST", f"/MAAS/api/2.0/machines/{name}/op-deploy", "", Answer(200, {}))


def whoami() -> Exchange:
    return Exchange("", "", "GET", "/MAAS/api/2.0/users/?op=whoami", None, Answer(200, {}))


def connect(url: str) -> socket.socket:
    return socket.create_connection((str(urlsplit(url).hostname), int(urlsplit(url).port or 80)), LONG_ENOUGH)


def raw(region: SimulatedRegion, url: str, exchange: Exchange) -> bytes:
    headers = Sender(region, url).headers_of(exchange)
    lines = [f"{exchange.method} {exchange.url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", exchange.body or ""]).encode()


def read(client: socket.socket) -> tuple[int, bytes]:
    """Read one whole response: its status and body."""
    response = http.client.HTTPResponse(client)
    response.begin()
    return response.status, response.read()


def test_a_client_that_hangs_up_after_its_post_does_not_stop_the_deploy(region: SimulatedRegion, base_url: str) -> None:
    region.hold(op="deploy", before=0.1)
    region.hold(op="whoami", before=0.2)
    with connect(base_url) as client:
        client.sendall(raw(region, base_url, deploy_of(NODE01)))
    with connect(base_url) as other:
        other.sendall(raw(region, base_url, whoami()))
        read(other)
    assert region.machine(NODE01).status is Status.DEPLOYING


def test_one_of_two_simultaneous_deploys_is_accepted_and_one_conflicts(region: SimulatedRegion, base_url: str) -> None:
    region.hold(op="deploy", before=0.1)
    first, second = connect(base_url), connect(base_url)
    with first, second:
        for client in (first, second):
            client.sendall(raw(region, base_url, deploy_of(NODE01)))
        statuses = [read(client)[0] for client in (first, second)]
    assert sorted(statuses) == [200, 409]


def test_a_post_is_answered_only_when_maas_is_done(region: SimulatedRegion, base_url: str) -> None:
    region.hold(op="deploy", after=0.6)
    with connect(base_url) as client, connect(base_url) as other:
        client.sendall(raw(region, base_url, deploy_of(NODE01)))
        other.sendall(raw(region, base_url, whoami()))
        read(other)
        assert region.machine(NODE01).status is Status.DEPLOYING
        assert select.select([client], [], [], 0) == ([], [], [])
        assert read(client)[0] == 200


def test_a_connection_is_kept_for_the_next_request(region: SimulatedRegion, base_url: str) -> None:
    sender = Sender(region, base_url)
    with closing(sender.connection):
        sender.send(whoami())
        local = sender.connection.sock.getsockname()
        sender.send(whoami())
        assert sender.connection.sock.getsockname() == local


def test_a_replayed_request_is_rejected(region: SimulatedRegion, base_url: str) -> None:
    request = raw(region, base_url, whoami())
    with connect(base_url) as client:
        client.sendall(request)
        assert read(client)[0] == 200
        client.sendall(request)
        status, body = read(client)
    assert status == 401
    assert body.startswith(b"Authorization Error: 'Nonce already used: ")


def test_an_answer_does_not_wait_for_an_acknowledgement(region: SimulatedRegion, base_url: str) -> None:
    """With Nagle's algorithm only the first response would take less than 40 ms."""
    sender = Sender(region, base_url)
    with closing(sender.connection):
        sender.send(whoami())
        moments = [time.monotonic()]
        for _ in range(20):
            sender.send(whoami())
            moments.append(time.monotonic())
    assert min(after - before for before, after in pairwise(moments)) < 0.03
