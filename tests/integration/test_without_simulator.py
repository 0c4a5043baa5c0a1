"""A production install has no simulator: only ``demo`` and ``simulate`` need it, and they say what to install."""

import subprocess
import sys

import pytest

HIDE_SIMULATOR = "import sys; sys.modules['maas_simulator'] = None\n"
"""Makes the simulator look uninstalled."""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HIDE_SIMULATOR + script], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "module", ["maas_mcp.api", "maas_mcp.server.app", "maas_mcp.server.stdio", "maas_mcp.pytest_plugin"]
)
def test_the_server_and_the_plugin_api_need_no_simulator(module: str) -> None:
    done = run(f"import {module}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("args", [["--help"], ["serve", "--help"], ["plugins"], ["demo", "--help"]])
def test_the_other_commands_work_without_the_simulator(args: list[str]) -> None:
    done = run(f"from maas_mcp.cli import main; main({args})")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("args", [["demo"], ["simulate"], ["simulate", "--help"]])
def test_a_command_that_needs_the_simulator_says_what_to_install(args: list[str]) -> None:
    done = run(f"from maas_mcp.cli import main; main({args})")
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: `maas-mcp {args[0]}` needs the simulator. Install it with `pip install maas-simulator`.\n"
    )
    assert done.stdout == ""
