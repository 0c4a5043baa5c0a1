"""Reads a plugin's own settings from the environment and the TOML file, into the plugin's model."""

import os
from collections.abc import Mapping
from types import new_class
from typing import Any, Final, cast

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from maas_mcp.errors import PluginError
from maas_mcp.plugins.discovery import variable_of
from maas_mcp.setting_values import describe_placeholder, split_list, unwrap
from maas_mcp.settings import CONFIG_VARIABLE, Settings, config_file, variable_name

JSON_STARTS: Final = ("[", "{")


def read_plugin_settings(name: str, model: type[BaseModel], table: Mapping[str, Any]) -> BaseModel:
    """Read the settings of a plugin.

    Args:
        name: The plugin's name, which makes the prefix of the variables: ``MAAS_MCP_RESCUE_``.
        model: The plugin's model.
        table: The plugin's table in the TOML file. The environment takes precedence.

    Raises:
        PluginError: A setting is invalid. The message names the variable or key and the expected form, but never
            contains a value.
    """
    prefix = variable_of(name, "")
    _check_variables(prefix, model)
    unknown = [key for key in table if key not in model.model_fields]
    if unknown:
        raise PluginError(
            f"{unknown[0]} in [plugins.{name}] of {config_file()} is not a setting. "
            f"Expected {', '.join(model.model_fields)}."
        )
    try:
        variables = _Environment(_source_class(prefix, model))()
        return model.model_validate({key: _clean(value) for key, value in {**table, **variables}.items()}, by_name=True)
    except ValidationError as error:
        problems = [_describe_problem(name, prefix, detail) for detail in error.errors()]
    except ValueError as error:  # a list or object that is not JSON
        problems = [f"{error}."]
    # Raised outside the except block: the caught error contains the values, and one may be secret.
    raise PluginError(" ".join(problems))


def _source_class(prefix: str, model: type[BaseModel]) -> type[BaseSettings]:
    """Return a subclass of the plugin's model whose fields are read from the environment."""
    body = {
        "model_config": SettingsConfigDict(
            env_prefix=prefix, env_ignore_empty=True, populate_by_name=True, defer_build=True
        )
    }
    # typing has no class with a variable as its base.
    return cast(
        "type[BaseSettings]", new_class(model.__name__, (model, BaseSettings), {}, lambda own: own.update(body))
    )


class _Environment(EnvSettingsSource):
    """The environment. Quotes around a value are removed, and an empty variable counts as not set."""

    def __call__(self) -> dict[str, Any]:
        return {key: cleaned for key, value in super().__call__().items() if (cleaned := _clean(value)) != ""}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Parse JSON, or split a list at its commas."""
        text = unwrap(value) if isinstance(value, str) else value
        if not isinstance(text, str) or text.startswith(JSON_STARTS):
            return super().decode_complex_value(field_name, field, text)
        return list(split_list(text))


def _clean(value: Any) -> Any:
    return unwrap(value) if isinstance(value, str) else value


def _check_variables(prefix: str, model: type[BaseModel]) -> None:
    """Refuse a plugin whose variables are settings of maas-mcp itself."""
    taken = {CONFIG_VARIABLE, *map(variable_name, Settings.model_fields)}
    clash = sorted(taken & {f"{prefix}{field.upper()}" for field in model.model_fields})
    if clash:
        raise PluginError(
            f"Its setting {clash[0]} is a setting of maas-mcp itself. Expected another name. Rename the field in "
            f"{model.__name__}, or the plugin."
        )


def _describe_problem(name: str, prefix: str, detail: ErrorDetails) -> str:
    key = str(detail["loc"][0]) if detail["loc"] else ""
    variable = next((each for each in os.environ if each.upper() == f"{prefix}{key}".upper()), None)
    if detail["type"] == "missing":
        return f"{prefix}{key.upper()} is not set. Set it, or {key} in [plugins.{name}] of the configuration file."
    origin = variable or f"{key} in [plugins.{name}] of {config_file()}"
    given = os.environ.get(variable or "", "")
    message = describe_placeholder(unwrap(given), secret=True, anywhere=False) or detail["msg"]
    message = message.removeprefix("Value error, ")
    return f"{origin}: {message[:1].lower()}{message[1:].rstrip('.')}."
