"""``maas-mcp simulate`` with its control: one real process, two real ports."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.integration.driver import PATIENCE, eventually
from tests.integration.test_cli import finished, running


@dataclass
class Simulator:
    """A region that runs with its control beside it."""

    settings: dict[str, str]
    control: httpx.Client

    def tell(self, method: str, path: str, given: Any = None) -> Any:
        return self.control.request(method, path, json=given).raise_for_status().json()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.settings['MAAS_URL']}/api/2.0/{path}", timeout=PATIENCE)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running(("simulate", "--control-port", "0", "--clock", "manual")) as program:
        program.line("CONTROL_URL=", "stdout")
        lines = [line.rstrip().split("=", 1) for line in program.written["stdout"]]
        assert [name for name, _ in lines] == ["MAAS_URL", "MAAS_API_KEY", "CONTROL_URL"]
        settings = dict(lines)
        with httpx.Client(base_url=settings.pop("CONTROL_URL"), timeout=PATIENCE) as control:
            yield Simulator(settings, control)
        program.process.terminate()
        assert program.end() == 0
        assert "Traceback" not in program.stderr


def test_the_clock_is_moved_from_the_second_port(simulator: Simulator) -> None:
    simulator.tell("POST", "/acts/deploy", {"machine": "node02", "user": "admin"})
    simulator.tell("POST", "/clock/advance", {"seconds": 900})
    shown = finished("call", "maas_get_machine", "system_id=fyc3ff", "--json", **simulator.settings)
    assert '"status_name": "Deployed"' in shown.stdout
    assert simulator.tell("PUT", "/clock", {"mode": "scaled", "speed": 600})["mode"] == "scaled"


def test_a_fault_meets_real_requests_and_they_are_counted(simulator: Simulator) -> None:
    simulator.tell("POST", "/faults", {"path": "version/", "answer": "rate limit"})
    assert [simulator.get("version/").status_code for _ in range(2)] == [429, 200]
    simulator.tell("POST", "/faults", {"drop": "body"})
    with pytest.raises(httpx.RemoteProtocolError):
        simulator.get("version/")
    assert simulator.tell("GET", "/requests")["counts"] == [
        {"method": "GET", "path": "version/", "op": None, "count": 3}
    ]


def test_a_restart_leaves_the_control_where_it_is(simulator: Simulator) -> None:
    simulator.tell("POST", "/acts/deploy", {"machine": "node02", "user": "admin"})
    simulator.tell("POST", "/restart", {"seconds": 600})

    def refused() -> bool:
        try:
            simulator.get("version/")
        except httpx.ConnectError:
            return True
        except httpx.TransportError:
            return False
        return False

    def answered() -> bool:
        try:
            return simulator.get("version/").status_code == 200
        except httpx.TransportError:
            return False

    eventually(refused, "a refused connection")
    simulator.tell("POST", "/restart", {"seconds": 0.01})
    eventually(answered, "an answer")
    simulator.tell("POST", "/clock/advance", {"seconds": 900})
    shown = finished("call", "maas_get_machine", "system_id=fyc3ff", "--json", **simulator.settings)
    assert '"status_name": "Deployed"' in shown.stdout


def test_a_control_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = finished("simulate", "--control-port", str(port))
    assert done.returncode == 1
    assert done.stderr.endswith(f"Error: Port {port} of 127.0.0.1 cannot be used: Address already in use.\n")
    assert done.stdout == ""
