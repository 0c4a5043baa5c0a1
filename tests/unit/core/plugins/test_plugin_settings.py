"""A plugin's settings come from variables and the TOML file, and every error says what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, SecretStr

from maas_mcp.cli.plugins import load_installed
from maas_mcp.errors import PluginError, SettingsError
from maas_mcp.plugins.plugin_settings import read_plugin_settings
from maas_mcp.plugins.registry import PluginState, load_registry
from maas_mcp.settings import Settings, plugin_tables

Install = Callable[..., str]

CODE = """
class Limits(BaseModel):
    url: str
    retries: int = 3

@hookimpl
def maas_mcp_settings():
    return Limits
"""


class Limits(BaseModel):
    url: str
    retries: int = Field(default=3, ge=1)
    racks: list[str] = []
    token: SecretStr | None = None


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TOML file that the settings are read from."""
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv("MAAS_MCP_CONFIG", str(path))
    return path


def read(**table: object) -> Limits:
    settings = read_plugin_settings("acme-racks", Limits, table)
    assert isinstance(settings, Limits)
    return settings


def test_a_variable_replaces_the_key_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_MCP_ACME_RACKS_RETRIES", "5")
    assert read(url="https://racks", retries=4).model_dump(exclude={"token"}) == {
        "url": "https://racks",
        "retries": 5,
        "racks": [],
    }


@pytest.mark.parametrize("written", ["a1, b2", '["a1", "b2"]', "'a1','b2'"])
def test_a_list_may_have_commas_or_be_json(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("MAAS_MCP_ACME_RACKS_RACKS", written)
    assert read(url="https://racks").racks == ["a1", "b2"]


def test_quotes_around_a_value_are_removed_and_an_empty_one_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_MCP_ACME_RACKS_URL", '"https://racks"')
    monkeypatch.setenv("MAAS_MCP_ACME_RACKS_RETRIES", " '' ")
    assert read() == read(url="https://racks", retries=3)


@pytest.mark.parametrize(
    ("variable", "table", "error"),
    [
        (None, {}, "MAAS_MCP_ACME_RACKS_URL is not set. Set it, or url in [plugins.acme-racks] of the configuration"),
        ("0", {}, "MAAS_MCP_ACME_RACKS_RETRIES: input should be greater than or equal to 1."),
        ("${RETRIES}", {}, "RETRIES"),
        (None, {"retries": "many"}, "retries in [plugins.acme-racks] of "),
        (None, {"retrys": 1}, "is not a setting. Expected url, retries, racks, token."),
    ],
)
def test_an_invalid_setting_is_named_with_the_expected_form(
    monkeypatch: pytest.MonkeyPatch,
    config: Path,  # noqa: ARG001 - named in messages
    variable: str | None,
    table: dict[str, object],
    error: str,
) -> None:
    if variable is not None:
        monkeypatch.setenv("MAAS_MCP_ACME_RACKS_RETRIES", variable)
    with pytest.raises(PluginError) as raised:
        read(**table)
    assert error in raised.value.message


def test_an_error_contains_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_MCP_ACME_RACKS_TOKEN", "hunter2")
    monkeypatch.setenv("MAAS_MCP_ACME_RACKS_RETRIES", "hunter2")
    with pytest.raises(PluginError) as raised:
        read(url="https://racks")
    assert "hunter2" not in raised.value.message
    assert raised.value.__context__ is None


def test_a_setting_of_maas_mcp_itself_cannot_be_declared_by_a_plugin() -> None:
    class Taken(BaseModel):
        hosts: str = ""

    with pytest.raises(PluginError, match="MAAS_MCP_HTTP_HOSTS is a setting of maas-mcp itself"):
        read_plugin_settings("http", Taken, {})


def test_a_plugin_with_invalid_settings_is_not_loaded_and_the_others_are(install: Install, group: str) -> None:
    install("racks", CODE)
    install("good", "@hookimpl\ndef maas_mcp_tools():\n    return [tool('maas_good')]\n")
    registry = load_registry(group=group)
    good, racks = registry.records
    assert (good.state, racks.state) == (PluginState.LOADED, PluginState.FAILED)
    assert racks.error is not None
    assert "MAAS_MCP_RACKS_URL is not set." in racks.error


def test_a_loaded_plugin_has_its_settings_from_the_file(install: Install, group: str, config: Path) -> None:
    install("racks", CODE)
    config.write_text('[plugins.racks]\nurl = "https://racks"\n')
    Settings.load()
    registry = load_registry(group=group, tables=plugin_tables())
    (racks,) = registry.plugins
    assert racks.settings is not None
    assert racks.settings.model_dump() == {"url": "https://racks", "retries": 3}
    assert registry.records[0].settings == ("MAAS_MCP_RACKS_URL", "MAAS_MCP_RACKS_RETRIES")


def test_a_table_of_an_unknown_plugin_is_a_warning(
    install: Install, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    install("racks", "@hookimpl\ndef maas_mcp_tools():\n    return []\n")
    load_registry(group=group, tables={"rack": {}, "racks": {"url": "x"}})
    assert "names the plugin 'rack', which is not installed. Did you mean 'racks'?" in caplog.text
    assert "has no settings, so [plugins.racks] has no effect" in caplog.text


def test_the_key_plugins_must_be_a_table_of_tables(config: Path) -> None:
    config.write_text("plugins = 1\n")
    with pytest.raises(SettingsError, match="is not a table of tables"):
        load_installed()


@pytest.mark.parametrize(
    ("hook", "returned", "expected"),
    [
        ("maas_mcp_settings", "Limits", ""),
        ("maas_mcp_settings", "Limits()", "Expected a pydantic model."),
        ("maas_mcp_lifespan", "opened", ""),
        ("maas_mcp_lifespan", "unmarked", "Write `@asynccontextmanager`, from contextlib, above it"),
        ("maas_mcp_process_lifespan", "opened(None)", "without calling it"),
        ("maas_mcp_resources", "[object]", "Expected subclasses of Resource. Write `class object(Resource)`."),
        ("maas_mcp_resources", "[tool('maas_ping')]", "Return it from maas_mcp_tools()."),
        ("maas_mcp_completions", "None", "Expected a list of Completion classes."),
    ],
)
def test_a_hook_that_returns_something_else_is_rejected_with_the_correction(
    install: Install, group: str, hook: str, returned: str, expected: str
) -> None:
    code = (
        "from contextlib import asynccontextmanager\nclass Limits(BaseModel):\n    retries: int = 3\n"
        "async def unmarked(ctx):\n    yield\nopened = asynccontextmanager(unmarked)\n"
        f"@hookimpl\ndef {hook}():\n    return {returned}\n"
    )
    install("racks", code)
    (record,) = load_registry(group=group).records
    assert (record.error is None) is (expected == "")
    assert expected in (record.error or "")


def test_two_plugins_cannot_have_the_same_resource(install: Install, group: str) -> None:
    code = (
        "from maas_mcp.api import Resource\nclass Rack(Resource):\n    'A rack.'\n    uri = 'acme://racks/{rack}'\n"
        "    name = 'rack'\n    async def read(self, ctx, rack):\n        return rack\n"
        "@hookimpl\ndef maas_mcp_resources():\n    return [Rack]\n"
    )
    install("first", code)
    install("second", code)
    first, second = load_registry(group=group).records
    assert (first.state, first.resources) == (PluginState.LOADED, ("acme://racks/{rack}",))
    assert second.error is not None
    assert "has a resource acme://racks/{rack}, and 'first' of acme-first 1.0 has one too" in second.error
