"""The client of the integration tests loses no message, in any order."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.driver import MODERN, Driver

ANSWERS = """
import json, sys

def say(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

asked = [json.loads(sys.stdin.readline())["id"] for _ in range(3)]
"""


@contextmanager
def speaking_to(code: str, folder: Path) -> Iterator[Driver]:
    """Connect a client to a server that reads three requests and then runs ``code``."""
    errors = folder / "stderr"
    with (
        errors.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-c", ANSWERS + textwrap.dedent(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
        ) as process,
    ):
        yield Driver(process, MODERN, errors)
        process.kill()


def test_responses_can_arrive_in_any_order(tmp_path: Path) -> None:
    code = """
        for each in reversed(asked):
            say(method="notifications/progress", params={"progressToken": each, "progress": 1, "message": f"of {each}"})
            say(id=each, result={"of": each})
    """
    with speaking_to(code, tmp_path) as server:
        calls = [server.start_request("ping") for _ in range(3)]
        assert [server.wait(each)["result"]["of"] for each in calls] == calls
        assert [server.wait_for_progress()["params"]["progressToken"] for _ in calls] == calls[::-1]
        assert [server.wait(each)["result"]["of"] for each in calls] == calls, "and they stay available"


def test_a_request_of_the_server_is_not_mistaken_for_a_response_with_the_same_id(tmp_path: Path) -> None:
    code = """
        say(id=asked[0], method="ping")
        say(id=asked[0], result={})
    """
    with speaking_to(code, tmp_path) as server:
        calls = [server.start_request("ping") for _ in range(3)]
        assert server.wait(calls[0])["result"] == {}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("sys.exit('it is broken')", "server closed its stdout.*it is broken"),
        ("print('hello', flush=True); sys.stdin.read()", "wrote a line that is not JSON: b'hello"),
    ],
)
def test_waiting_ends_when_no_response_can_arrive(code: str, expected: str, tmp_path: Path) -> None:
    with speaking_to(code, tmp_path) as server:
        calls = [server.start_request("ping") for _ in range(3)]
        with pytest.raises(AssertionError, match=expected):
            server.wait(calls[0])
