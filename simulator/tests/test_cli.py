"""``maas-simulator``: wrong usage, and a real process with its control API, on two real ports."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from maas_simulator.cli import main
from simulator.tests.conftest import signed_by

TIMEOUT = 30.0
"""Seconds to wait on a busy machine."""


class Program:
    """A running ``maas-simulator`` with a control port."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.printed = dict(process.stdout.readline().rstrip().split("=", 1) for _ in range(3))

    def control(self, method: str, path: str, given: Any = None) -> Any:
        answer = httpx.request(method, self.printed["CONTROL_URL"] + path, json=given, timeout=TIMEOUT)
        return answer.raise_for_status().json()

    def get(self, path: str) -> httpx.Response:
        headers = signed_by(self.printed["MAAS_API_KEY"])
        return httpx.get(f"{self.printed['MAAS_URL']}/api/2.0/{path}", headers=headers, timeout=TIMEOUT)

    def answers(self) -> bool:
        try:
            return self.get("version/").status_code == 200
        except httpx.TransportError:
            return False

    def refuses(self) -> bool:
        try:
            self.get("version/")
        except httpx.TransportError as error:
            return isinstance(error, httpx.ConnectError)
        return False


@contextmanager
def running(*options: str) -> Iterator[Program]:
    command = [sys.executable, "-m", "maas_simulator", "--control-port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Program(process)
        finally:
            process.terminate()


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def program() -> Iterator[Program]:
    with running("--clock", "manual") as program:
        yield program


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--speed", "0"), "0"),
        (("--speed", "nan"), "'nan' is not a number"),
        (("--speed", "inf"), "inf"),
        (("--port", "70000"), "70000"),
        (("--control-port", "-1"), "-1"),
        (("--clock", "manual"), "--clock manual requires --control-port"),
        (
            ("--clock", "manual", "--control-port", "0", "--speed", "2"),
            "--speed cannot be combined with --clock manual",
        ),
        (("--machines", "0"), "0"),
        (("--machines", "5", "--world", __file__), "--machines cannot be combined with --world"),
        (("--world", "/no/such/world.yaml"), "'/no/such/world.yaml' does not exist"),
        (("--fail", "node05"), "HOST=STAGE"),
        (("--fail", "node99=Rebooting"), "the machines are: node01, node02"),
        (("--fail", "node05=Reboot"), "Rebooting"),
    ],
)
def test_wrong_usage_is_reported_before_anything_starts(args: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_an_invalid_world_is_reported_with_its_place(tmp_path: Path) -> None:
    (file := tmp_path / "world.yaml").write_text("machines:\n  - hostname: a\n    status: Rusty\n")
    result = CliRunner().invoke(main, ["--world", str(file)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {file}, line 3: machines[0].status.Rusty: Input should be 'New', 'Ready'")
    assert result.stdout == ""


@pytest.mark.parametrize("option", ["--port", "--control-port"])
def test_a_port_in_use_is_reported(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = CliRunner().invoke(main, [option, str(port)])
    assert result.exit_code == 1
    assert result.stderr == f"Error: Port {port} of 127.0.0.1 cannot be used: Address already in use.\n"
    assert result.stdout == ""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_settings_serves_and_exits_cleanly(end: signal.Signals) -> None:
    with running("--speed", "400", "--fail", "node05=Installing OS") as program:
        assert list(program.printed) == ["MAAS_URL", "MAAS_API_KEY", "CONTROL_URL"]
        assert program.get("version/").json()["version"] == "3.7.3"
        assert [plan["machine"] for plan in program.control("GET", "/plans")["plans"]] == ["node05"]
        program.process.send_signal(end)
        rest, errors = program.process.communicate(timeout=TIMEOUT)
    assert (program.process.returncode, rest) == (0, "")
    assert "Simulating a MAAS region with twelve machines, 400 times as fast as a real one." in errors
    assert "curl $MAAS_URL/api/2.0/version/" in errors
    assert "Traceback" not in errors


def test_the_control_port_moves_the_clock(program: Program) -> None:
    program.control("POST", "/acts/deploy", {"machine": "node02", "user": "admin"})
    program.control("POST", "/clock/advance", {"seconds": 900})
    assert program.get("machines/fyc3ff/").json()["status_name"] == "Deployed"
    assert program.control("PUT", "/clock", {"mode": "scaled", "speed": 600})["mode"] == "scaled"


def test_a_fault_applies_to_real_requests_and_they_are_counted(program: Program) -> None:
    program.control("POST", "/faults", {"path": "version/", "answer": "rate limit"})
    assert [program.get("version/").status_code for _ in range(2)] == [429, 200]
    program.control("POST", "/faults", {"drop": "body"})
    with pytest.raises(httpx.RemoteProtocolError):
        program.get("version/")
    assert program.control("GET", "/requests")["counts"] == [
        {"method": "GET", "path": "version/", "op": None, "count": 3}
    ]


def test_the_control_port_stays_open_during_a_restart(program: Program) -> None:
    program.control("POST", "/acts/deploy", {"machine": "node02", "user": "admin"})
    program.control("POST", "/restart", {"seconds": 600})
    eventually(program.refuses)
    program.control("POST", "/restart", {"seconds": 0.01})
    eventually(program.answers)
    program.control("POST", "/clock/advance", {"seconds": 900})
    assert program.get("machines/fyc3ff/").json()["status_name"] == "Deployed"
