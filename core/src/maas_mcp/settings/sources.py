"""The sources of settings: the environment, and a TOML file that also has the settings of plugins."""

import os
from pathlib import Path
from typing import Any, Final

from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from maas_mcp.errors import SettingsError
from maas_mcp.setting_types import expand_user
from maas_mcp.setting_values import describe_placeholder, unwrap
from maas_mcp.text_files import read_text

CONFIG_VARIABLE: Final = "MAAS_MCP_CONFIG"
"""The environment variable with the path of the TOML file. If it is set but empty, no file is read."""
PLUGIN_TABLES: Final = "plugins"
"""The key of the TOML file with a table for each plugin."""


class Environment(EnvSettingsSource):
    """The environment. A variable with only whitespace or quotes counts as not set."""

    def __call__(self) -> dict[str, Any]:  # noqa: D102 - pydantic-settings' own hook
        return {key: value for key, value in super().__call__().items() if unwrap(value)}


class TextualToml(TomlConfigSettingsSource):
    """A TOML file, with or without a byte order mark. The settings of plugins are left out."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        found = _read_toml(Path(file_path))
        found.pop(PLUGIN_TABLES, None)
        return found


def plugin_tables() -> dict[str, dict[str, Any]]:
    """Return the settings of plugins in the TOML file, by the plugin's name: ``[plugins.NAME]``.

    Raises:
        SettingsError: The file cannot be read, or ``plugins`` is not a table of tables.
    """
    path = config_file()
    tables = {} if path is None else _read_toml(path).get(PLUGIN_TABLES, {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise SettingsError(
            f"{PLUGIN_TABLES} in {path} is not a table of tables.",
            hint="Write the settings of a plugin into a table of its own, such as [plugins.rescue].",
        )
    return tables


def config_file() -> Path | None:
    """Return the TOML file to read settings from, or ``None`` without one.

    Raises:
        SettingsError: ``MAAS_MCP_CONFIG`` does not name a readable file.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named is None:
        from platformdirs import user_config_path  # noqa: PLC0415 - 30 ms, and not needed if MAAS_MCP_CONFIG is set

        path = user_config_path("maas-mcp") / "config.toml"
        return path if path.is_file() else None
    named = unwrap(named)
    if not named:
        return None
    problem = describe_placeholder(named)
    if problem:
        raise SettingsError(f"{CONFIG_VARIABLE}: {problem}.", hint="Set it to the path of a TOML file, or unset it.")
    try:
        path = expand_user(named)
        problem = None if path.is_file() else f"names {path}, which is not a file"
    except ValueError as error:
        problem = f"names {named}, but {error}"
    except OSError as error:
        problem = f"names {named}, which cannot be read: {error.strerror}"
    if problem:
        raise SettingsError(f"{CONFIG_VARIABLE} {problem}.", hint="Correct the path, or unset the variable.")
    return path


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - 3 ms, and not needed without a file

    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        problem = f"{path} is not valid TOML: {error}"
    except ValueError as error:
        problem = f"{path} cannot be read: {error}."
    # Raised outside the except block: the caught error may contain a secret.
    raise SettingsError(problem)
