"""Describes invalid settings and likely typos by the names that users wrote."""

import os
from collections.abc import Mapping
from difflib import get_close_matches

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from maas_mcp.setting_values import guess_variable, unwrap
from maas_mcp.settings.sources import CONFIG_VARIABLE, config_file


def variable_of(name: str, field: FieldInfo) -> str:
    """Return the environment variable of the setting ``name``."""
    alias = field.validation_alias
    return alias if isinstance(alias, str) else f"MAAS_MCP_{name.upper()}"


def misnamed_variables(fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """Find environment variables that are none of ``fields``, each with the unset variable that it resembles."""
    given = {name.upper(): name for name, value in os.environ.items() if unwrap(value)}
    known = {CONFIG_VARIABLE, *(variable_of(name, field) for name, field in fields.items())}
    others = sorted(name for upper, name in given.items() if upper.startswith("MAAS") and upper not in known)
    return {name: meant for name in others if (meant := guess_variable(name, sorted(known - given.keys())))}


def describe_problem(detail: ErrorDetails, fields: Mapping[str, FieldInfo], overrides: Mapping[str, object]) -> str:
    """Describe a validation error.

    Args:
        detail: The error, of one setting.
        fields: All settings.
        overrides: The values that were given as arguments.
    """
    key = str(detail["loc"][0]) if detail["loc"] else ""
    name = next((name for name, field in fields.items() if key in {name, variable_of(name, field)}), None)
    inside = ".".join(str(each) for each in detail["loc"][1:])
    if name is None or (detail["type"] == "extra_forbidden" and not inside):
        nearest = get_close_matches(key, fields, n=1)
        known = f"did you mean {nearest[0]}?" if nearest else f"expected {', '.join(fields)}."
        return f"{_origin(key, None, overrides)} is not a setting; {known}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = f"{inside} is not a setting; check the spelling"
    elif inside:
        message = f"{inside}: {message[:1].lower()}{message[1:]}"
    return f"{_origin(name, variable_of(name, fields[name]), overrides)}: {message[:1].lower()}{message[1:]}."


def _origin(key: str, variable: str | None, overrides: Mapping[str, object]) -> str:
    if key in overrides:
        return f"The argument {key}"
    written = [name for name, value in os.environ.items() if variable and name.upper() == variable and unwrap(value)]
    return written[0] if written else f"{key} in {config_file()}"
