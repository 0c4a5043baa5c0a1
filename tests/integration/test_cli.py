"""The commands as users run them: real processes and a region over real HTTP."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
import trustme
from click.testing import CliRunner

from maas_mcp.cli import main
from maas_simulator import Fault, SimulatedRegion, serving
from tests.integration.conftest import SPEED
from tests.integration.driver import UNCONFIRMED, advance_to, check_requests_stop, command, eventually
from tests.integration.server_process import ServerProcess, run_to_end, start_process
from tests.integration.terminal import terminal_lines

TIMEOUT = 60.0


@dataclass
class Program:
    """A running ``maas-mcp`` and its output so far."""

    process: ServerProcess
    streams: Mapping[str, IO[str]]
    written: dict[str, list[str]] = field(default_factory=lambda: {"stdout": [], "stderr": []})

    def __post_init__(self) -> None:
        self._threads = [
            threading.Thread(target=self._listen, args=(stream, self.written[name]), daemon=True)
            for name, stream in self.streams.items()
        ]
        for thread in self._threads:
            thread.start()

    def _listen(self, stream: IO[str], lines: list[str]) -> None:
        lines.extend(iter(stream.readline, ""))

    def wait_for_line(self, text: str, where: str = "stderr") -> str:
        """Wait for a line that contains ``text``."""
        found: str = eventually(
            lambda: next((line for line in tuple(self.written[where]) if text in line), None), f"a line with {text!r}"
        )
        return found

    def wait(self) -> int:
        """Wait for the process to exit. Returns the exit code."""
        code = self.process.wait(TIMEOUT)
        for thread in self._threads:
            thread.join(TIMEOUT)
        return code

    @property
    def stdout(self) -> str:
        return "".join(self.written["stdout"])

    @property
    def stderr(self) -> str:
        return "".join(self.written["stderr"])


def environment(**settings: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAAS_")}
    return {**inherited, "MAAS_MCP_CONFIG": "", "MAAS_MCP_POLL_INTERVAL": "0.05", "COLUMNS": "200", **settings}


def settings_of(region: SimulatedRegion, url: str) -> dict[str, str]:
    return {"MAAS_URL": url, "MAAS_API_KEY": region.api_key, "MAAS_MCP_POLICY": UNCONFIRMED}


@contextmanager
def start_command(args: Sequence[str], **settings: str) -> Iterator[Program]:
    pipes = {name: os.pipe() for name in ("stdout", "stderr")}
    stdout, stderr = (os.fdopen(writing, "wb") for _, writing in pipes.values())
    with Path(os.devnull).open("rb") as nothing, stdout, stderr:
        process = start_process(command(*args), (nothing, stdout, stderr), environment(**settings))
    with ExitStack() as streams:
        reading = {name: streams.enter_context(os.fdopen(each, encoding="utf-8")) for name, (each, _) in pipes.items()}
        program = Program(process, reading)
        try:
            yield program
        finally:
            process.kill()
            program.wait()


def run_command(*args: str, typed: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    done = run_to_end(command(*args), environment(**settings), typed)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


# call


def test_a_deploy_shows_a_line_for_each_milestone_and_its_result(region: SimulatedRegion, url: str) -> None:
    machine = region.machine("node01")
    done = run_command("call", "maas_deploy_machine", f"system_id={machine.system_id}", **settings_of(region, url))
    assert done.returncode == 0
    assert done.stdout == f"node01 is deployed with ubuntu/noble at {machine.own_address}.\n"
    lines = done.stderr.splitlines()
    assert len(lines) == len(set(lines)) > 2
    assert all(line.startswith("maas_deploy_machine ") for line in lines)
    assert lines[-1] == "maas_deploy_machine  100%  Deployed"
    assert region.machine("node01").status_name == "Deployed"


def test_a_result_can_be_printed_as_json(region: SimulatedRegion, url: str) -> None:
    done = run_command("call", "maas_list_machines", "status=ready", "limit=2", "--json", **settings_of(region, url))
    answer = json.loads(done.stdout)
    assert [machine["hostname"] for machine in answer["machines"]] == ["node01", "node02"]
    assert answer["total"] == 5
    assert done.stderr == ""


def test_a_failed_deploy_exits_with_1_and_shows_the_reason_from_maas(region: SimulatedRegion, url: str) -> None:
    machine = region.machine("node05")
    region.plan("node05", fail="Installing OS", reason="No space left on /dev/sda2")
    done = run_command("call", "maas_deploy_machine", f"system_id={machine.system_id}", **settings_of(region, url))
    assert done.returncode == 1
    assert done.stdout == ""
    assert 'Error: node05 (m86kwc) is Failed deployment: "No space left on /dev/sda2"' in done.stderr


def test_a_call_that_returns_early_ends_its_bar_at_the_progress_of_the_operation(still_region: SimulatedRegion) -> None:
    machine = still_region.machine("node01")
    args = ("call", "maas_deploy_machine", f"system_id={machine.system_id}", "wait_seconds=0")
    with serving(still_region) as url:
        drawn = [
            each
            for each in terminal_lines(args, environment(**settings_of(still_region, url)), columns=80)
            if each.startswith("maas_deploy_machine ━")
        ]
    assert re.search(r" [02]% 0:00:\d\d still running\s*$", drawn[-1])
    assert not [each for each in drawn if "100%" in each]


def test_the_bar_of_a_failed_operation_does_not_end_full(region: SimulatedRegion, url: str) -> None:
    system_id = region.machine("node05").system_id
    region.plan("node05", fail="Installing OS")
    settings = settings_of(region, url)
    start = run_command("call", "maas_deploy_machine", f"system_id={system_id}", "wait_seconds=0", "--json", **settings)
    operation_id = json.loads(start.stdout)["operation_id"]
    waited = run_command("call", "maas_wait_operation", f"operation_id={operation_id}", **settings)
    assert "Failed deployment" in waited.stdout
    assert "100%" not in waited.stderr


NARROW_TERMINAL_COMMANDS: dict[str, tuple[str, ...]] = {
    "help": ("--help",),
    "rejection": ("call", "maas_deploy_machine", "system_id=ywtymp"),
    "rejection by MAAS": ("call", "maas_deploy_machine", "system_id=7xneda", "distro_series=nosuch"),
    "early return": ("call", "maas_deploy_machine", "system_id=fyc3ff", "wait_seconds=0"),
    "list": ("call", "maas_list_machines"),
    "wrong argument": ("call", "maas_deploy_machine", "colour=red"),
    "unknown tool": ("call", "xyzzy"),
    "doctor": ("doctor",),
    "plugins": ("plugins",),
    "no such stage": ("simulate", "--fail", "node05=Foo"),
    "no control port": ("simulate", "--clock", "manual"),
}


@pytest.mark.parametrize("name", NARROW_TERMINAL_COMMANDS)
def test_no_word_is_broken_on_a_narrow_terminal(still_region: SimulatedRegion, name: str) -> None:
    columns = 60
    with serving(still_region) as url:
        lines = terminal_lines(NARROW_TERMINAL_COMMANDS[name], environment(**settings_of(still_region, url)), columns)
    assert not [each for each in lines if len(each) > columns and " " in each.strip()], lines
    assert not [word for line in lines if "━" not in line for word in re.findall(r"maas_\w+…", line)], lines


def test_only_the_error_is_shown_for_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lines = terminal_lines(("simulate", "--port", str(listener.getsockname()[1])), environment(), columns=60)
    assert lines[0].startswith("Error: Port ")
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("dumb", [{"TERM": "dumb"}, {"TERM": "dumb", "NO_COLOR": "1"}])
def test_a_dumb_terminal_gets_lines_without_escape_codes(
    region: SimulatedRegion, url: str, dumb: dict[str, str]
) -> None:
    args = ("call", "maas_release_machine", "system_id=ywtymp")
    lines = terminal_lines(args, environment(**settings_of(region, url), **dumb), columns=80)
    assert lines[-2:] == ["maas_release_machine  100%  Ready", "node07 (ywtymp) is Ready."]
    assert "\x1b" not in "".join(lines)


def test_ctrl_c_ends_the_call_and_leaves_maas_deploying(still_region: SimulatedRegion) -> None:
    region = still_region
    machine = region.machine("node01")
    args = ("call", "maas_deploy_machine", f"system_id={machine.system_id}")
    with serving(region) as url, start_command(args, **settings_of(region, url)) as program:
        advance_to(region, "node01", "Loading ephemeral")
        program.wait_for_line("Loading ephemeral")
        program.process.send_signal(signal.SIGINT)
        assert program.wait() == 130
        check_requests_stop(region)
        assert "Traceback" not in program.stderr
        assert program.stderr.splitlines()[-1] == (
            "Interrupted: stopped following maas_deploy_machine. The operation continues in MAAS. "
            f"Run `maas-mcp call maas_get_machine system_id={machine.system_id}` to see its status."
        )
        assert program.stdout == ""
        assert region.machine("node01").status_name == "Deploying"
        assert [request.op for request in region.requests if request.method == "POST"].count("deploy") == 1
        assert not [request for request in region.requests if request.op == "abort"]
        region.set_speed(SPEED)
        eventually(lambda: region.machine("node01").status_name == "Deployed", "the end of the deployment")


def test_ctrl_c_aborts_the_operation_if_the_call_requested_it(still_region: SimulatedRegion) -> None:
    region = still_region
    machine = region.machine("node01")
    args = ("call", "maas_deploy_machine", f"system_id={machine.system_id}", "on_cancel=abort")
    with serving(region) as url, start_command(args, **settings_of(region, url)) as program:
        advance_to(region, "node01", "Loading ephemeral")
        program.wait_for_line("Loading ephemeral")
        program.process.send_signal(signal.SIGINT)
        assert program.wait() == 130
        assert "maas-mcp asks MAAS to abort the operation" in program.stderr
        eventually(lambda: region.machine("node01").status_name == "Allocated", "the abort of the deployment")


def test_ctrl_c_during_a_read_only_says_interrupted(region: SimulatedRegion, url: str) -> None:
    region.hold(op="machines", before=600)
    with start_command(("call", "maas_list_machines"), **settings_of(region, url)) as program:
        eventually(lambda: region.requests, "the start of the call")
        program.process.send_signal(signal.SIGINT)
        assert program.wait() == 130
        assert program.stderr == "Interrupted.\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("maas_get_machin", "system_id=x"), "There is no tool 'maas_get_machin'. Did you mean maas_get_machine?"),
        (("maas_get_machine",), "system_id is missing."),
        (("maas_list_machines", "status=redy"), "the nearest is ready"),
        (("maas_list_machines", "limit=0"), "`limit`: input should be greater than or equal to 1."),
    ],
)
def test_wrong_arguments_exit_with_2_and_a_suggestion(
    region: SimulatedRegion, url: str, args: tuple[str, ...], message: str
) -> None:
    done = run_command("call", *args, **settings_of(region, url))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert region.requests == []


@pytest.mark.parametrize("args", [(), ("--list",)])
def test_without_a_tool_the_tools_are_listed(region: SimulatedRegion, url: str, args: tuple[str, ...]) -> None:
    done = run_command("call", *args, **settings_of(region, url))
    assert done.returncode == 0
    for name in ("maas_commission_machine", "maas_deploy_machine", "maas_list_machines"):
        assert f"\n{name}  " in f"\n{done.stdout}"
    assert region.requests == []


def test_the_arguments_of_one_tool_are_listed(region: SimulatedRegion, url: str) -> None:
    done = run_command("call", "--list", "maas_deploy_machine", **settings_of(region, url))
    assert "system_id=STRING" in done.stdout
    assert "Overwrites the disks" in done.stdout


def test_the_server_gets_the_same_settings(region: SimulatedRegion, url: str) -> None:
    done = run_command("call", MAAS_MCP_PLUGINS_ALLOW="inventory", **settings_of(region, url))
    assert "maas_list_machines" in done.stdout
    assert "maas_deploy_machine" not in done.stdout


def test_a_server_that_does_not_start_is_reported_with_its_own_message(
    region: SimulatedRegion, url: str, tmp_path: Path
) -> None:
    information = tmp_path / "acme_broken-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-broken\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[maas_mcp.plugins.v1]\nbroken = no_such_module\n")
    settings = {"PYTHONPATH": str(tmp_path), "MAAS_MCP_STRICT_PLUGINS": "true", **settings_of(region, url)}
    done = run_command("call", **settings)
    assert done.returncode == 1
    assert "acme-broken" in done.stderr
    assert "Error: The MCP server failed: " in done.stderr.splitlines()[-2]


def test_the_server_is_not_imported_from_the_working_directory(
    region: SimulatedRegion, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mcp.py").write_text("raise SystemExit('taken over')\n")
    monkeypatch.chdir(tmp_path)
    done = run_command("call", **settings_of(region, url))
    assert done.returncode == 0
    assert "taken over" not in done.stderr


# doctor


def test_the_doctor_passes_a_working_setup(region: SimulatedRegion, url: str) -> None:
    done = run_command("doctor", **settings_of(region, url))
    assert done.returncode == 0
    assert "✗" not in done.stdout
    assert "✓ Version: MAAS 3.7.3\n" in done.stdout
    assert "✓ API key: admin, an administrator" in done.stdout
    assert "✓ Machines: readable" in done.stdout
    assert "✓ Plugin deploy: maas_abort_machine, " in done.stdout
    assert done.stdout.endswith("All checks passed.\n")
    assert {request.method for request in region.requests} == {"GET"}


def test_the_doctor_reads_no_more_than_one_machine_of_a_large_region(region: SimulatedRegion, url: str) -> None:
    run_command("call", "maas_allocate_machine", **settings_of(region, url))
    region.requests.clear()
    run_command("doctor", **settings_of(region, url))
    [query] = [request.query for request in region.requests if request.template == "machines/"]
    assert query == {
        "id": [next(each.system_id for each in region.machines.values() if each.status_name == "Allocated")]
    }


def test_the_doctor_reports_a_user_who_is_no_administrator(region: SimulatedRegion, url: str) -> None:
    done = run_command("doctor", MAAS_URL=url, MAAS_API_KEY=region.api_key_of("bob"))
    assert done.returncode == 0
    assert "✓ API key: bob, not an administrator" in done.stdout


def check_diagnosis(region: SimulatedRegion, what: str, hint: str, skipped: Sequence[str], **settings: str) -> None:
    """Check that the doctor names the problem and a fix, continues as far as it can, and shows no secret."""
    settings = {"MAAS_API_KEY": region.api_key, **settings}
    done = run_command("doctor", **settings)
    assert done.returncode == 1
    assert f"✗ {what}" in done.stdout
    assert hint in done.stdout
    for name in skipped:
        assert f"- {name}: not checked\n" in done.stdout
    assert "✓ Plugin deploy" in done.stdout
    assert done.stdout.endswith("1 check failed.\n")
    assert done.stderr == ""
    for part in settings["MAAS_API_KEY"].split(":"):
        assert part not in done.stdout


AFTER_REGION = ("Version", "API key", "Events", "Machines")


def test_the_doctor_finds_a_host_where_nothing_listens(region: SimulatedRegion) -> None:
    url = f"http://127.0.0.1:{closed_port()}/MAAS"
    check_diagnosis(
        region, "Region: MAAS at 127.0.0.1:", "Check MAAS_URL, and whether MAAS is running", AFTER_REGION, MAAS_URL=url
    )


def test_the_doctor_finds_a_wrong_path(region: SimulatedRegion, url: str) -> None:
    wrong = url.replace("/MAAS", "/elsewhere")
    check_diagnosis(region, "Region: MAAS_URL has no GET version/", "Check MAAS_URL", AFTER_REGION, MAAS_URL=wrong)


def test_the_doctor_finds_a_wrong_key(region: SimulatedRegion, url: str) -> None:
    key = ":".join([*region.api_key.split(":")[:2], "WrongWrongWrongWrong"])
    settings = {"MAAS_URL": url, "MAAS_API_KEY": key}
    check_diagnosis(region, "API key: MAAS rejected the API key", "maas apikey", ("Events", "Machines"), **settings)


def test_the_doctor_distinguishes_a_trusted_certificate_from_an_untrusted_one(
    region: SimulatedRegion, tmp_path: Path
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    files = {name: str(tmp_path / name) for name in ("key", "chain", "ca")}
    certificate.private_key_pem.write_to_path(files["key"])
    certificate.cert_chain_pems[0].write_to_path(files["chain"])
    authority.cert_pem.write_to_path(files["ca"])
    with serving(region, ssl_certfile=files["chain"], ssl_keyfile=files["key"]) as url:
        check_diagnosis(region, "Region: The certificate", "Set MAAS_CA_BUNDLE", AFTER_REGION, MAAS_URL=url)
        done = run_command("doctor", MAAS_CA_BUNDLE=files["ca"], **settings_of(region, url))
    assert done.returncode == 0
    assert "✓ Region: reachable, and its certificate is trusted" in done.stdout


def test_the_doctor_finds_a_missing_ca_bundle(region: SimulatedRegion) -> None:
    settings = {"MAAS_URL": "https://127.0.0.1:1/MAAS", "MAAS_CA_BUNDLE": "/no/such/file"}
    check_diagnosis(region, "Connection: MAAS_CA_BUNDLE", "PEM", ("Region", *AFTER_REGION), **settings)


def test_the_doctor_rejects_plain_http_to_another_host(region: SimulatedRegion) -> None:
    settings = {"MAAS_URL": "http://maas.example.com/MAAS"}
    check_diagnosis(region, "Settings: MAAS_URL uses http://", "https://", ("Region", *AFTER_REGION), **settings)


def test_the_doctor_continues_after_a_failed_check(region: SimulatedRegion, url: str) -> None:
    region.faults.append(Fault(status=500, body="it hurts", path="machines/", times=9))
    done = run_command("doctor", **settings_of(region, url))
    assert done.returncode == 1
    assert "✗ Machines: MAAS returned 500" in done.stdout
    assert "✓ Events: readable" in done.stdout


def test_the_doctor_reports_a_slow_region_as_a_warning(
    region: SimulatedRegion, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maas_mcp.cli.doctor.SLOW_RESPONSE", 0.0)
    done = CliRunner().invoke(main, ["doctor"], env=settings_of(region, url))
    assert done.exit_code == 0
    assert "! Events: MAAS took 0 s to respond\n" in done.stdout
    assert "✓ Events: readable" in done.stdout
    assert re.search(r"No check failed\. There are \d warnings\.\n$", done.stdout)


def test_a_terminal_without_unicode_shows_other_signs(region: SimulatedRegion, url: str) -> None:
    settings = {**settings_of(region, url), "MAAS_API_KEY": "a:b:c"}
    done = run_command("doctor", PYTHONIOENCODING="latin-1", **settings)
    assert done.returncode == 1
    assert "+ Version: MAAS 3.7.3" in done.stdout
    assert "x API key: MAAS rejected the API key" in done.stdout


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}])
@pytest.mark.parametrize(
    "args",
    [("doctor",), ("call", "--list", "maas_list_machines")],
    ids=" ".join,
)
def test_no_locale_ends_a_command_with_a_traceback(
    region: SimulatedRegion, url: str, args: tuple[str, ...], locale: dict[str, str]
) -> None:
    done = run_command(*args, **settings_of(region, url), **locale)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("args", [("--help",), ("call", "maas_list_machines")], ids=" ".join)
def test_a_full_disk_is_an_error_without_a_traceback(region: SimulatedRegion, url: str, args: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(*args),
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(**settings_of(region, url)),
            check=False,
            text=True,
            timeout=TIMEOUT,
        )
    assert done.returncode == 1
    assert done.stderr == "Error: Cannot write the output: No space left on device.\n"


@pytest.mark.parametrize("args", [("--help",), ("plugins",), ("doctor",), ("call", "maas_list_machines")], ids=" ".join)
def test_a_command_ends_quietly_when_its_reader_closes_the_pipe(
    region: SimulatedRegion, url: str, args: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed_pipe:
        done = subprocess.run(
            command(*args),
            stdout=closed_pipe,
            stderr=subprocess.PIPE,
            env=environment(**settings_of(region, url)),
            check=False,
            text=True,
            timeout=TIMEOUT,
        )
    assert (done.returncode, done.stderr) == (1, "")


# simulate


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_simulator_prints_its_settings_serves_and_stops_cleanly(end: signal.Signals) -> None:
    with start_command(("simulate", "--speed", "400", "--fail", "node05=Installing OS")) as simulator:
        simulator.wait_for_line("MAAS_API_KEY=", "stdout")
        settings = dict(line.rstrip().split("=", 1) for line in simulator.written["stdout"])
        assert list(settings) == ["MAAS_URL", "MAAS_API_KEY"]
        assert "API key: admin" in run_command("doctor", **settings).stdout
        failed = run_command("call", "maas_deploy_machine", "system_id=m86kwc", **settings)
        assert failed.returncode == 1
        assert "Failed deployment" in failed.stderr
        simulator.process.send_signal(end)
        assert simulator.wait() == 0
        assert len(simulator.written["stdout"]) == 2
        assert "maas-mcp call maas_list_machines" in simulator.stderr
        assert "Traceback" not in simulator.stderr


def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = run_command("simulate", "--port", str(listener.getsockname()[1]))
    assert done.returncode == 1
    assert "cannot be used: Address already in use." in done.stderr
    assert done.stdout == ""


# demo


def test_the_demonstration_shows_all_its_parts(tmp_path: Path) -> None:
    image = tmp_path / "demo.svg"
    real_region = {"MAAS_URL": "https://maas.invalid/MAAS", "MAAS_API_KEY": "a:b:c"}
    done = run_command("demo", "--speed", "100", "--svg", str(image), **real_region)  # which it does not contact
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for line in (
        "node01  100%  Deployed",
        "node02  100%  Deployed",
        "node05   40%  Failed deployment",
        "deployed at 10.10.0.201",
        "failed, with MAAS's error",
        "All results were as expected.",
    ):
        assert line in done.stdout
    assert re.search(r"cancelled at [4-9]\d%; Deploying", done.stdout)
    drawn = image.read_text(encoding="utf-8").replace("&#160;", " ")
    assert "No space left on /dev/sda2" in drawn
    assert "All results were as expected." in drawn
    assert "url(http" not in drawn.replace('"', "")


def test_ctrl_c_stops_the_demonstration() -> None:
    with start_command(("demo",)) as program:
        program.wait_for_line("Loading ephemeral", "stdout")
        program.process.send_signal(signal.SIGINT)
        assert program.wait() == 130
        assert program.stderr == "Interrupted.\n"


def test_the_demonstration_ends_quietly_when_its_reader_closes_the_pipe() -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(
        command("demo", "--speed", "120"), stdout=writing, stderr=subprocess.PIPE, env=environment(), text=True
    ) as process:
        os.close(writing)
        os.read(reading, 10)
        os.close(reading)
        assert process.communicate(timeout=TIMEOUT)[1] == ""
        assert process.returncode == 1


def test_the_demonstration_names_a_missing_plugin() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MISSING_PLUGIN],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 1
    assert "The server has no maas_deploy_machine." in done.stderr
    assert "pip install maas-mcp" in done.stderr


MISSING_PLUGIN = """
from maas_mcp.cli import main, demonstration
environment = demonstration._environment
demonstration._environment = lambda *args: environment(*args) | {"MAAS_MCP_PLUGINS_ALLOW": "inventory"}
main(["demo"])
"""


@pytest.mark.parametrize(("options", "typed"), [(("--yes",), ""), ((), "node01\n")])
def test_a_real_machine_is_deployed_after_a_confirmation(
    region: SimulatedRegion, url: str, options: tuple[str, ...], typed: str
) -> None:
    done = run_command("demo", "--real", "7xneda", *options, typed=typed, **settings_of(region, url))
    assert done.returncode == 0, done.stderr
    assert "node01 (7xneda)" in done.stdout
    assert "overwrites all data on its disks." in done.stdout
    assert "node01  100%  Deployed" in done.stderr
    assert region.machine("node01").status_name == "Deployed"


@pytest.mark.parametrize(("typed", "code"), [("node02\n", 1), ("y\n", 1), ("", 130)])
def test_a_real_machine_is_not_deployed_without_a_confirmation(
    region: SimulatedRegion, url: str, typed: str, code: int
) -> None:
    done = run_command("demo", "--real", "7xneda", typed=typed, **settings_of(region, url))
    assert done.returncode == code
    assert [request for request in region.requests if request.method == "POST"] == []


def test_a_real_machine_that_does_not_exist_is_an_error(region: SimulatedRegion, url: str) -> None:
    done = run_command("demo", "--real", "qqqqqq", "--yes", **settings_of(region, url))
    assert done.returncode == 1
    assert "There is no machine with the system id, hostname, FQDN, MAC or IP address qqqqqq" in done.stderr


# serve


def test_the_server_starts_without_needless_imports(region: SimulatedRegion, url: str) -> None:
    """Clients wait for the start-up, so it imports no terminal, simulator or HTTP code."""
    script = """
import sys
from maas_mcp.cli import main
main(["serve"], standalone_mode=False)
print(*sorted(sys.modules), sep="\\n", file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        input="",
        env=environment(**settings_of(region, url)),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert "maas_mcp.server.stdio" in loaded
    unwanted = {
        "rich",
        "httpx",
        "requests_oauthlib",
        "maas_simulator",
        "maas_mcp.maas.exchange",
        "maas_mcp.cli.client",
    }
    assert loaded & unwanted == set()


def test_an_unknown_polling_strategy_stops_the_server_at_start_up(region: SimulatedRegion, url: str) -> None:
    done = run_command("serve", MAAS_MCP_POLLING="foo", **settings_of(region, url))
    assert done.returncode == 2
    assert done.stderr.startswith("Error: MAAS_MCP_POLLING is 'foo', but no polling strategy of that name")
    assert done.stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes the descriptor")
@pytest.mark.parametrize(("closed", "stream"), [("<&-", "stdin"), (">&-", "stdout")])
def test_the_server_does_not_start_without_stdin_and_stdout(
    region: SimulatedRegion, url: str, closed: str, stream: str
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *command("serve")],
        capture_output=True,
        env=environment(**settings_of(region, url)),
        check=False,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 2
    assert f"Error: {stream} is closed. An MCP server needs stdin and stdout" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "reported"),
    [
        ("SSL_CERT_FILE", "/no/such/file", "SSL_CERT_FILE names /no/such/file, which cannot be used: No such file"),
        (
            "HTTPS_PROXY",
            "http://user:hunter2@proxy:99999",
            "HTTPS_PROXY names the proxy http://proxy:99999, which cannot be used",
        ),
    ],
)
def test_an_invalid_system_variable_is_reported_and_not_blamed_on_a_plugin(
    region: SimulatedRegion, variable: str, value: str, reported: str
) -> None:
    settings = {"MAAS_URL": "https://maas.example.com/MAAS", "MAAS_API_KEY": region.api_key, variable: value}
    for args, code in ((("doctor",), 1), (("call", "maas_list_machines"), 2)):
        done = run_command(*args, **settings)
        assert done.returncode == code
        assert reported in done.stdout + done.stderr
        assert "inside its plugin" not in done.stderr
        assert "hunter2" not in done.stdout + done.stderr


def test_the_package_can_be_run_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "maas_mcp", "--version"], capture_output=True, text=True, timeout=TIMEOUT, check=True
    )
    assert done.stdout.startswith("maas-mcp, version ")


def test_a_call_on_a_terminal_asks_before_it_erases(region: SimulatedRegion, url: str) -> None:
    region.deploy("node01", "admin")
    advance_to(region, "node01", "Deployed")
    args = ("call", "maas_release_machine", f"system_id={region.machine('node01').system_id}", "quick_erase=true")
    settings = environment(**settings_of(region, url) | {"MAAS_MCP_POLICY": "{}"})

    lines = terminal_lines(args, settings, columns=100, answers={"Requested text: ": "node01"})

    assert "All data on the disks is erased and cannot be recovered." in lines
    assert any("node01" in each and "is Ready" in each for each in lines), lines


def test_a_tool_that_is_not_served_is_refused_with_the_reason(region: SimulatedRegion, url: str) -> None:
    settings = {**settings_of(region, url), "MAAS_MCP_MODE": "read-only"}

    refused = run_command("call", "maas_deploy_machine", "system_id=4y3h7n", **settings)
    unknown = run_command("call", "maas_deploy_machin", **settings)

    assert refused.returncode == 1
    assert "this server's read-only mode allows no changes" in refused.stderr
    assert "There is no tool 'maas_deploy_machin'." in unknown.stderr


def test_a_call_without_a_terminal_is_planned_first(region: SimulatedRegion, url: str, tmp_path: Path) -> None:
    region.deploy("node01", "admin")
    advance_to(region, "node01", "Deployed")
    args = ("call", "maas_release_machine", f"system_id={region.machine('node01').system_id}")
    settings = {**settings_of(region, url), "MAAS_MCP_POLICY": "{}", "MAAS_MCP_STATE_DIR": str(tmp_path)}

    refused = run_command(*args, **settings)
    planned = run_command(*args, "plan=true", **settings)
    plan_id = next(each for each in planned.stdout.split() if each.startswith("plan_id="))
    released = run_command(*args, plan_id, **settings)

    assert refused.returncode == 1
    assert "plan=true" in refused.stderr
    assert "Requests to MAAS:" in planned.stdout
    assert released.returncode == 0, released.stderr
    assert region.machine("node01").status_name == "Ready"
