"""A third-party plugin that pip installs from its own pyproject.toml works next to the project's own plugins."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACK = Path(__file__).parent / "maas_mcp_rescue"

SCRIPT = """
import json
from dataclasses import asdict
from maas_mcp.plugins.registry import load_registry
from maas_mcp.plugins.skills import read_skills

registry = load_registry(allow=["rescue"], strict=True)
skills, _ = read_skills(registry.skills)
operation = registry.tools["rescue_boot_machine"]
record = next(record for record in registry.records if record.name == "rescue")
print(json.dumps(asdict(record) | {
    "module": type(operation).__module__,
    "description": operation.description(),
    "called": [sorted(skill.tools) for skill in skills],
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install only the plugin in a directory, built as its author would publish it."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--target", folder, PACK], check=True, timeout=120)
    return folder


@pytest.fixture
def environment(installed: Path) -> dict[str, str]:
    """Return the environment of a process in which the plugin is installed."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path])}


def test_an_installed_plugin_is_found_and_loaded(environment: dict[str, str]) -> None:
    output = subprocess.check_output([sys.executable, "-c", SCRIPT], env=environment, text=True, timeout=60)
    assert json.loads(output) == {
        "name": "rescue",
        "distribution": "acme-maas-rescue",
        "version": "1.0.0",
        "state": "loaded",
        "error": None,
        "tools": ["rescue_boot_machine"],
        "resources": [],
        "settings": [],
        "skills": ["reach-a-dead-machine"],
        "broken_skills": [],
        "called": [["rescue_boot_machine"]],
        "module": "acme_rescue.plugin",
        "description": "Boot a machine into rescue mode and wait until it can be reached.",
    }


def test_the_plugins_own_tests_pass_with_the_fixture_of_the_core(environment: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(PACK / "tests", tmp_path / "tests")  # so that no conftest.py of the project applies
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_the_plugin_has_at_most_50_lines() -> None:
    assert len((PACK / "src/acme_rescue/plugin.py").read_text().splitlines()) <= 50
