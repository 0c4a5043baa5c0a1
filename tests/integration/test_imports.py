"""Importing a module imports nothing heavy that its users do not need: each in a fresh interpreter."""

import subprocess
import sys

import pytest


def imported_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has imported after ``code``."""
    program = f"{code}\nimport sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    return set(ran.stdout.split())


@pytest.mark.parametrize("module", ["maas_mcp.maas.client", "maas_mcp.api", "maas_mcp.settings"])
def test_importing_the_client_imports_nothing_heavy(module: str) -> None:
    heavy = {"httpx", "requests", "requests_oauthlib", "oauthlib", "mcp", "platformdirs"}
    assert not heavy & imported_by(f"import {module}")


def test_listing_plugins_does_not_import_the_sdk() -> None:
    names = "maas_mcp.plugins.registry, maas_mcp.plugins.schemas, maas_mcp.server.operation_tools"
    packages = {name.partition(".")[0] for name in imported_by(f"import {names}")}
    assert not {"mcp", "mcp_types"} & packages


def test_loading_the_settings_builds_no_validators_of_tables_without_configuration() -> None:
    built = "{each.__name__ for each in PolicyTable.__subclasses__() if each.__pydantic_complete__}"
    code = "import maas_mcp.settings\nfrom maas_mcp.policy.table import PolicyTable"
    assert "set()" in imported_by(f"{code}\nmaas_mcp.settings.Settings.load()\nprint({built})")


def test_the_pytest_plugin_costs_nothing_until_its_fixture_is_used() -> None:
    """pytest imports the plugin in every run wherever the core is installed."""
    added = imported_by("import pytest, maas_mcp.pytest_plugin") - imported_by("import pytest")
    assert added == {"maas_mcp", "maas_mcp.pytest_plugin"}


@pytest.mark.parametrize("plugin", ["maas_deploy", "maas_commission", "maas_inventory", "maas_configure"])
def test_loading_a_plugin_builds_no_validator_of_its_tools(plugin: str) -> None:
    """Together the validators take more time than everything else that plugins do at a start."""
    code = f"""
from pydantic import BaseModel
from maas_mcp.plugins.registry import load_registry
registry = load_registry(allow=["{plugin.removeprefix("maas_")}"])
assert registry.tools
models = [model for tool in registry.tools.values() for model in (tool.arguments, tool.returns)]
print(*("built:" + each.__name__ for each in models if each.__pydantic_complete__))
"""
    assert not {each for each in imported_by(code) if each.startswith("built:")}


@pytest.mark.parametrize(
    ("plugin", "called"),
    [
        ("maas_configure", {"choices", "interfaces", "changes"}),
        (
            "maas_inventory",
            {"boot_resources", "import_progress", "event_search", "script_runs", "informer", "search.searching"}
            | {"objects.pages", "objects.row", "objects.catalogue", "machines.pages", "machines.net_changes"},
        ),
    ],
)
def test_loading_a_plugin_imports_nothing_that_only_calls_need(plugin: str, called: set[str]) -> None:
    loaded = imported_by(f"import {plugin}.plugin")
    assert f"{plugin}.plugin" in loaded
    assert not {f"{plugin}.{name}" for name in called} & loaded


def test_loading_plugins_imports_no_reader_of_skills() -> None:
    loaded = imported_by("from maas_mcp.plugins.registry import load_registry\nload_registry()")
    assert "maas_inventory.plugin" in loaded
    assert "maas_mcp.plugins.skills" not in loaded
