"""The stdio transport: kinds of streams, the end of the input, and invalid messages."""

import fcntl
import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from maas_mcp.server.stdio import LINE_LIMIT
from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.driver import TIMEOUT, Driver, Message, command, environment, eventually, serving_stdio

HANDSHAKE: tuple[Message, ...] = (
    {
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "driver", "version": "1"},
        },
    },
    {"method": "notifications/initialized"},
)


def lines(*messages: Message) -> bytes:
    return b"".join(json.dumps({"jsonrpc": "2.0", **each}).encode() + b"\n" for each in messages)


def deploying(region: SimulatedRegion, name: str, **options: str) -> bytes:
    """The lines of a client that connects and deploys."""
    arguments = {"system_id": region.machine(name).system_id, **options}
    call: Message = {
        "id": 2,
        "method": "tools/call",
        "params": {"name": "maas_deploy_machine", "arguments": arguments},
    }
    return lines(*HANDSHAKE, call)


@contextmanager
def started(url: str, api_key: str, **streams: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a server whose streams are not all pipes."""
    streams = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    with subprocess.Popen(command("serve"), env=environment(url, api_key), **streams) as process:
        try:
            yield process
        finally:
            process.kill()


def posts(region: SimulatedRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


@pytest.mark.parametrize("how", ["EOF", "SIGTERM", "SIGINT"])
def test_a_server_whose_stdout_is_a_file_stops_and_aborts_nothing(
    still_region: SimulatedRegion, tmp_path: Path, how: str
) -> None:
    with (
        serving(still_region) as url,
        (tmp_path / "out").open("wb") as out,
        started(url, still_region.api_key, stdout=out) as process,
    ):
        assert process.stdin
        process.stdin.write(deploying(still_region, "node01", on_cancel="abort"))
        process.stdin.flush()
        eventually(lambda: still_region.machine("node01").status_name == "Deploying", "the deployment")

        if how == "EOF":
            process.stdin.close()
        else:
            process.send_signal(signal.Signals[how])

        assert process.wait(TIMEOUT) == 0
        assert posts(still_region) == ["deploy"]
        assert still_region.machine("node01").status_name == "Deploying"


def test_a_server_whose_stdin_is_a_file_stops_at_its_end_and_aborts_nothing(
    still_region: SimulatedRegion, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(deploying(still_region, "node01", on_cancel="abort"))
    with (
        serving(still_region) as url,
        (tmp_path / "in").open("rb") as given,
        started(url, still_region.api_key, stdin=given, stdout=subprocess.PIPE) as process,
    ):
        assert process.wait(TIMEOUT) == 0
        assert "abort" not in posts(still_region)


@pytest.mark.parametrize(("closed", "code"), [("1>&-", 2), ("2>&-", 0), ("1>&- 2>&-", 2)])
def test_a_closed_standard_stream_is_not_replaced_by_another_file(
    region: SimulatedRegion, url: str, closed: str, code: int
) -> None:
    ended = subprocess.run(
        ["sh", "-c", f"exec {' '.join(command('serve'))} {closed}"],
        input=lines(*HANDSHAKE),
        capture_output=True,
        env=environment(url, region.api_key),
        timeout=TIMEOUT,
        check=False,
    )

    assert ended.returncode == code, ended.stderr
    assert b"Traceback" not in ended.stderr
    assert code or json.loads(ended.stdout)["id"] == 1


def test_the_server_restores_the_mode_of_a_terminal(region: SimulatedRegion, url: str) -> None:
    ours, theirs = pty.openpty()
    with started(url, region.api_key, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        eventually(lambda: not os.get_blocking(theirs), "the server")
        os.write(ours, b"\x04")

        assert process.wait(TIMEOUT) == 0
        assert not fcntl.fcntl(theirs, fcntl.F_GETFL) & os.O_NONBLOCK
    os.close(ours)
    os.close(theirs)


def test_a_request_with_half_an_emoji_is_answered(region: SimulatedRegion, url: str) -> None:
    system_id = region.machine("node07").system_id
    with serving_stdio(url, region.api_key) as server:
        result = server.call("maas_lock_machine", system_id=system_id, comment="cut \ud83d here, whole \U0001f600")

        assert not result.get("isError"), result
    (post,) = [each for each in region.requests if each.op == "lock"]
    assert post.form["comment"] == ["cut \ufffd here, whole \U0001f600"]


def test_an_invalid_request_is_rejected_with_its_id(region: SimulatedRegion, url: str) -> None:
    with serving_stdio(url, region.api_key, MAAS_MCP_LOG_LEVEL="DEBUG") as server:
        server.send({"id": "odd", "method": "tools/call", "params": ["hush-hush"]})
        server.send({"method": 5, "params": "hush-hush"})
        response = server.wait("odd")

        assert response["error"]["code"] == -32600
        assert not server.call("maas_list_machines").get("isError")
        server.stop("EOF")
        log = server.log()
    assert "it is not a JSON-RPC 2.0 message" in log
    assert "hush" not in log


@pytest.fixture(scope="module")
def serving_revision() -> Iterator[Callable[[str], Driver]]:
    """Return a server for clients of a revision. The tests share it, because a rejected line changes nothing in it."""
    region = demo_region(speed=0.0)
    with serving(region) as url, ExitStack() as servers:
        yield cache(lambda revision: servers.enter_context(serving_stdio(url, region.api_key, revision)))


def rejections(server: Driver, *given: bytes) -> list[Message]:
    """The error responses with the id ``null`` to these lines. The server keeps running."""
    before = len(server.received)
    assert server.process.stdin
    server.process.stdin.write(b"".join(line + b"\n" for line in given))
    server.process.stdin.flush()
    assert not server.call("maas_list_machines").get("isError")
    return [message["error"] for message in server.received[before:] if "error" in message and message["id"] is None]


def request(request_id: str, method: str = '"tools/list"') -> bytes:
    return f'{{"jsonrpc": "2.0", "id": {request_id}, "method": {method}}}'.encode()


@pytest.mark.parametrize("request_id", ["null", "1.5", "true", "{}", "[1]"])
def test_a_request_with_an_invalid_id_is_rejected(
    serving_revision: Callable[[str], Driver], revision: str, request_id: str
) -> None:
    (error,) = rejections(serving_revision(revision), request(request_id))

    assert error["code"] == -32600
    assert error["message"] == "The request could not be read: its id is neither a string nor an integer."


def test_a_batch_is_rejected_with_what_was_expected(serving_revision: Callable[[str], Driver]) -> None:
    batch = b"[" + request("7") + b"]"
    errors = rejections(serving_revision("2025-03-26"), batch, b"[]")

    assert [error["code"] for error in errors] == [-32600, -32600]
    assert "send one message per line" in errors[0]["message"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"this is not JSON", -32700),
        (b'{"jsonrpc": "2.0", "id": 3, "method": "tools/li', -32700),
        (b"\xff\xfe", -32700),
        (b"5", -32600),
        (b"null", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc": "2.0", "method": 5}', -32600),
        (b'{"jsonrpc": "2.0", "id": null}', -32600),
    ],
)
def test_a_line_that_may_be_a_request_is_answered(
    serving_revision: Callable[[str], Driver], line: bytes, code: int
) -> None:
    assert [error["code"] for error in rejections(serving_revision("2025-11-25"), line)] == [code]


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": [1]}',
        b'{"jsonrpc": "2.0", "id": true, "result": {}}',
        b'{"jsonrpc": "2.0", "id": 1.5, "error": 3}',
        b"  ",
    ],
)
def test_a_line_that_cannot_be_a_request_is_not_answered(
    serving_revision: Callable[[str], Driver], line: bytes
) -> None:
    assert rejections(serving_revision("2025-11-25"), line) == []


def test_a_line_over_the_limit_is_rejected_once_and_the_next_line_is_read(
    serving_revision: Callable[[str], Driver],
) -> None:
    large = request("7", '"' + "x" * (2 * LINE_LIMIT) + '"')
    (error,) = rejections(serving_revision("2025-11-25"), large)

    assert (
        error["message"]
        == f"The request could not be read: it has {len(large) + 1:,} bytes, but the limit is 33,554,432."
    )
