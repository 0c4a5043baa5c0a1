"""Plugins that misbehave in a real server affect only themselves."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from maas_mcp.server.tools import ERROR_META
from maas_simulator import SimulatedRegion, serving
from tests.integration.driver import TIMEOUT, Driver, Message, command, environment, serving_stdio
from tests.integration.server_process import run_to_end

PRELUDE = """
import asyncio, os, subprocess, sys
from typing import Callable
from maas_mcp.api import Tool, hookimpl
from pydantic import BaseModel, Field

class Nothing(BaseModel):
    pass

class How(BaseModel):
    how: str

"""

HOOK = """
@hookimpl
def maas_mcp_tools():
    return [{}]
"""

RAISING = """
class Own(BaseException):
    pass

class Raise(Tool[How, Nothing]):
    "Raise an exception that tools do not raise."
    name = "acme_raise"

    async def run(self, ctx, args):
        if args.how == "exit":
            sys.exit(3)
        raise {"interrupt": KeyboardInterrupt, "cancelled": asyncio.CancelledError, "own": Own}[args.how]
""" + HOOK.format("Raise")


def install_plugin(folder: Path, code: str, name: str = "acme") -> str:
    """Install a plugin. Returns the ``PYTHONPATH`` that includes it."""
    (folder / f"{name}_plugin.py").write_text(PRELUDE + code)
    info = folder / f"{name}_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[maas_mcp.plugins.v1]\n{name} = {name}_plugin\n")
    return str(folder)


def error_text(result: Message) -> str:
    assert result["isError"] is True, result
    text: str = result["content"][0]["text"]
    return text


NOISY = """
print("printed while imported", flush=True)

class Shout(Tool[Nothing, Nothing]):
    "Print to stdout."
    name = "acme_shout"

    async def run(self, ctx, args):
        print("printed while running", flush=True)
        os.write(1, b"written to fd 1\\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
        return Nothing()
""" + HOOK.format("Shout")


def test_the_output_of_a_plugin_does_not_reach_the_client(region: SimulatedRegion, url: str, tmp_path: Path) -> None:
    with serving_stdio(url, region.api_key, PYTHONPATH=install_plugin(tmp_path, NOISY)) as server:
        result = server.call("acme_shout")

        assert not result.get("isError"), result
        server.stop("EOF")
        assert "printed while running" in server.log()
        assert "printed while imported" in server.log()


@pytest.mark.parametrize("how", ["exit", "interrupt", "cancelled", "own"])
def test_a_tool_that_raises_a_base_exception_ends_only_its_own_call(
    still_region: SimulatedRegion, tmp_path: Path, how: str
) -> None:
    with (
        serving(still_region) as url,
        serving_stdio(url, still_region.api_key, PYTHONPATH=install_plugin(tmp_path, RAISING)) as server,
    ):
        deploying(server, still_region, "node01", on_cancel="abort")

        assert "acme_raise failed inside its plugin" in error_text(server.call("acme_raise", how=how))

        assert not server.call("maas_list_machines").get("isError"), "the server keeps running"
        assert still_region.machine("node01").status_name == "Deploying"
        assert server.stop("EOF")[0] == 0


def deploying(server: Driver, region: SimulatedRegion, name: str, **options: str) -> int:
    """Start a deployment, and wait until MAAS is deploying."""
    call = server.start_call("maas_deploy_machine", 1, system_id=region.machine(name).system_id, **options)
    server.wait_for_progress("Deploying")
    return call


HALVES = """
class Cut(Tool[Nothing, How]):
    "Return half a character."
    name = "acme_cut"

    async def run(self, ctx, args):
        ctx.progress.report(0.5, "half \\ud83d")
        return How(how="half \\ud83d and whole \\ud83d\\ude00")
""" + HOOK.format("Cut")


def test_half_a_character_in_a_result_does_not_end_the_server(
    region: SimulatedRegion, url: str, tmp_path: Path
) -> None:
    with serving_stdio(url, region.api_key, PYTHONPATH=install_plugin(tmp_path, HALVES)) as server:
        response = server.wait(server.start_call("acme_cut", "token"))

        assert response["result"]["structuredContent"] == {"how": "half \ufffd and whole \U0001f600"}
        assert server.progress("token")[0]["message"] == "half \ufffd"


TAKING_OVER = """
class Mine(Tool[Nothing, Nothing]):
    "Take over."
    name = "maas_get_operation"

    async def run(self, ctx, args):
        return Nothing()
""" + HOOK.format("Mine")

WITHOUT_SCHEMA = """
class Called(BaseModel):
    back: Callable[[int], int] | None = None

class Call(Tool[Called, Nothing]):
    "Call."
    name = "acme_call"

    async def run(self, ctx, args):
        return Nothing()
""" + HOOK.format("Call")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (TAKING_OVER, "a tool named maas_get_operation, and the server itself has one too"),
        (WITHOUT_SCHEMA, "acme_call has arguments or a result that cannot be published to clients"),
        ("raise BaseException('odd')", "BaseException: odd"),
    ],
    ids=["takes-over", "no-schema", "no-exception"],
)
def test_the_command_plugins_reports_a_broken_plugin_as_the_server_does(
    region: SimulatedRegion, url: str, tmp_path: Path, code: str, expected: str
) -> None:
    path = install_plugin(tmp_path, code)
    listed = run_to_end(command("plugins", "--json"), environment(url, region.api_key, PYTHONPATH=path))
    (record,) = [each for each in json.loads(listed.stdout) if each["name"] == "acme"]
    assert record["state"] == "failed"
    assert expected in record["error"]

    with serving_stdio(url, region.api_key, PYTHONPATH=path) as server:
        tools = {tool["name"]: tool for tool in server.request("tools/list")["tools"]}
        assert "maas_deploy_machine" in tools
        assert "acme_call" not in tools
        assert tools["maas_get_operation"]["title"] == "Get an operation"
        server.stop("EOF")
        assert expected in server.log()


def test_no_hint_names_a_tool_that_is_not_served(region: SimulatedRegion, url: str) -> None:
    system_id = region.machine("node08").system_id
    with serving_stdio(url, region.api_key, MAAS_MCP_PLUGINS_BLOCK="deploy,inventory") as server:
        locked = server.call("maas_commission_machine", system_id=system_id)
        absent = server.call("maas_commission_machine", system_id="zzzzzz")

    assert "A lock protects a machine from changes." in error_text(locked)
    for result in (locked, absent):
        assert result["_meta"][ERROR_META]["next_steps"] == []
        assert "unlock" not in error_text(result)
        assert "maas_list_machines" not in error_text(result)


def test_a_next_step_can_be_called_unchanged(region: SimulatedRegion, url: str) -> None:
    system_id = region.machine("node08").system_id
    with serving_stdio(url, region.api_key) as server:
        locked = server.call("maas_commission_machine", system_id=system_id)
        (step,) = locked["_meta"][ERROR_META]["next_steps"]
        server.call(step["tool"], **step["arguments"])

    assert error_text(locked).endswith(f"unlock it: maas_unlock_machine (system_id: {system_id}).")
    assert not region.machine("node08").locked


def test_the_instructions_name_no_tool_that_is_not_served(region: SimulatedRegion, url: str) -> None:
    for blocked, named in (("", True), ("inventory", False)):
        with serving_stdio(url, region.api_key, MAAS_MCP_PLUGINS_BLOCK=blocked) as server:
            instructions = server.request("server/discover")["instructions"]
        assert ("maas_list_machines" in instructions) is named
        assert "maas_wait_operation" in instructions


BUSY = """
import atexit, threading

print("unflushed", end="")
print("printed", flush=True)
sys.__stdout__.write("written\\n")
os.write(1, b"written to fd 1\\n")
subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
atexit.register(print, "at exit")

def later():
    print("from a thread", flush=True)
    while True:  # print() is unsafe here: CPython aborts at exit if a daemon thread holds the lock of a stream
        os.write(1, b"from a thread\\n")

threading.Thread(target=later, daemon=True).start()
""" + HOOK.format("")


def test_the_json_list_stays_valid_if_a_plugin_prints(region: SimulatedRegion, url: str, tmp_path: Path) -> None:
    settings = environment(url, region.api_key, PYTHONPATH=install_plugin(tmp_path, BUSY))
    listed = subprocess.run(command("plugins", "--json"), env=settings, capture_output=True, check=True)

    assert {"acme", "deploy"} <= {each["name"] for each in json.loads(listed.stdout)}
    for text in (b"unflushed", b"printed", b"written", b"written to fd 1", b"from a child", b"at exit"):
        assert text in listed.stderr


def test_the_output_of_a_plugin_is_kept_out_of_plugins_and_doctor(
    region: SimulatedRegion, url: str, tmp_path: Path
) -> None:
    settings = environment(url, region.api_key, PYTHONPATH=install_plugin(tmp_path, NOISY + "os.write(1, b'raw')\n"))
    for name in ("plugins", "doctor"):
        printed = subprocess.run(command(name), env=settings, capture_output=True, check=True)
        assert b"acme_shout" in printed.stdout
        assert b"printed" not in printed.stdout
        assert b"raw" not in printed.stdout
        assert b"raw" in printed.stderr


HANGING = """
import time

while True:
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["doctor", "plugins"])
def test_a_plugin_that_hangs_is_named_and_ctrl_c_ends_the_command(
    region: SimulatedRegion, url: str, tmp_path: Path, name: str
) -> None:
    settings = environment(url, region.api_key, PYTHONPATH=install_plugin(tmp_path, HANGING))
    with subprocess.Popen(
        command(name), env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            first_line = process.stderr.readline()
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    assert first_line == "Still importing acme_plugin (plugin 'acme' of acme-plugin 1.0)\n"
    assert rest == "Interrupted while importing acme_plugin (plugin 'acme' of acme-plugin 1.0)\nInterrupted.\n"
    assert process.returncode == 130


INTERRUPTING = """
raise KeyboardInterrupt
"""


def test_a_keyboard_interrupt_in_a_plugin_does_not_stop_the_server(
    region: SimulatedRegion, url: str, tmp_path: Path
) -> None:
    with serving_stdio(url, region.api_key, PYTHONPATH=install_plugin(tmp_path, INTERRUPTING)) as server:
        assert "maas_deploy_machine" in {tool["name"] for tool in server.request("tools/list")["tools"]}


def test_a_plugin_with_the_name_of_a_built_in_plugin_does_not_replace_it(
    region: SimulatedRegion, url: str, tmp_path: Path
) -> None:
    with serving_stdio(url, region.api_key, PYTHONPATH=install_plugin(tmp_path, NOISY, "deploy")) as server:
        names = {tool["name"] for tool in server.request("tools/list")["tools"]}
        server.stop("EOF")
        log = server.log()
    assert "maas_deploy_machine" in names
    assert "acme_shout" not in names
    assert "'deploy' of deploy-plugin 1.0 has the same name as 'deploy' of maas-mcp-deploy" in log


WITHOUT_RESULT = """
from maas_mcp.api import Lifecycle, Operation, PollingStrategy
from maas_mcp.api import MachineStatus as S

class Which(BaseModel):
    system_id: str

class Found(BaseModel):
    share: float

class Failing(PollingStrategy):
    def measure(self, evidence, observation):
        raise SystemExit("it cannot count")

class Odd(Operation[Which, Found]):
    "Deploy, and return an invalid result."
    name = "acme_odd"
    lifecycle = Lifecycle(start_from={{S.READY}}, pending={{S.DEPLOYING}}, success={{S.DEPLOYED}})
    polling = Failing()

    async def start(self, ctx, args):
        await ctx.maas.post_op(f"machines/{{args.system_id}}/", "deploy")

    async def result(self, ctx):
        {}

@hookimpl
def maas_mcp_operations():
    return [Odd]
"""


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ("return None", "it is nothing"),
        ("return {'share': 1.0}", "it is an object of type dict"),
        ("return Found(share=float('nan'))", "`share` is NaN or infinite"),
        ("raise KeyboardInterrupt", "it raised KeyboardInterrupt."),
        ("return Found(share=0.5)", ""),
    ],
)
def test_an_operation_ends_even_if_its_plugin_cannot_read_the_result(
    region: SimulatedRegion, url: str, tmp_path: Path, result: str, why: str
) -> None:
    path = install_plugin(tmp_path, WITHOUT_RESULT.format(result))
    system_id = region.machine("node01").system_id
    with serving_stdio(url, region.api_key, PYTHONPATH=path) as server:
        answer = server.call("acme_odd", system_id=system_id)
        if not why:
            assert answer["structuredContent"]["result"] == {"share": 0.5}
            return
        text = error_text(answer)
        assert "MAAS has finished acme_odd (Deployed), but the plugin could not read the result: " in text
        assert why in text
        (step,) = answer["_meta"][ERROR_META]["next_steps"]
        operation_id = step["arguments"]["operation_id"]
        assert step["tool"] == "maas_get_operation"
        assert text.endswith(f'maas_get_operation (operation_id: "{operation_id}").')

        for tool in ("maas_get_operation", "maas_wait_operation"):
            reported = server.call(tool, operation_id=operation_id)
            report = reported["structuredContent"]
            assert (report["state"], report["result"], report["progress"]) == ("succeeded", None, 1.0)
            assert report["error"]["code"] == "result_unreadable"
            assert report["error"]["next_steps"] == [step]
            assert why in reported["content"][0]["text"]
        assert [each.op for each in region.requests if each.method == "POST"] == ["deploy"]
