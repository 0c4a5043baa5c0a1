"""A production install of the core has no simulator: all but two commands do without, and those say what to install."""

import subprocess
import sys

import pytest

WITHOUT = "import sys; sys.modules['maas_simulator'] = None\n"
"""As if it were not installed."""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + script], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "module", ["maas_mcp.api", "maas_mcp.server.app", "maas_mcp.server.stdio", "maas_mcp.pytest_plugin"]
)
def test_what_serves_and_what_plugins_import_needs_no_simulator(module: str) -> None:
    done = run(f"import {module}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("args", [["--help"], ["serve", "--help"], ["plugins"], ["demo", "--help"]])
def test_the_command_line_works_without_it(args: list[str]) -> None:
    done = run(f"from maas_mcp.cli import main; main({args})")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("args", [["demo"], ["simulate"], ["simulate", "--help"]])
def test_what_simulates_says_what_to_install(args: list[str]) -> None:
    done = run(f"from maas_mcp.cli import main; main({args})")
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: `maas-mcp {args[0]}` needs the simulator, which is not installed: pip install maas-simulator\n"
    )
    assert done.stdout == ""
