"""Describes invalid settings and likely typos by the names that users wrote."""

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, get_args

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from maas_mcp.setting_values import guess_variable, unwrap
from maas_mcp.settings.sources import CONFIG_VARIABLE, config_file

_LIST: Final = 'expected a list, such as ["one", "two"]'
_TABLE: Final = "expected a table, which is an object in JSON"
_NUMBER: Final = "expected a whole number"
_BOOLEAN: Final = "expected true or false"
_EXPECTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tuple_type": _LIST,
        "model_type": _TABLE,
        "dict_type": _TABLE,
        "mapping_type": _TABLE,
        "int_type": _NUMBER,
        "int_parsing": _NUMBER,
        "int_from_float": _NUMBER,
        "bool_type": _BOOLEAN,
        "bool_parsing": _BOOLEAN,
        "string_type": "expected text",
        "path_type": "expected a path",
    }
)
"""pydantic's errors whose messages speak of Python, in the words of the file."""


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
        return f"{origin(key, None, overrides)} is not a setting; {known}"
    written = origin(name, variable_of(name, fields[name]), overrides)
    if detail["type"] == "extra_forbidden":
        table = _keys_at(fields[name].annotation, detail["loc"][1:-1])
        return f"{written}: {inside} is not a setting; {_suggest(str(detail['loc'][-1]), table, fields)}"
    if detail["type"] == "tuple_type" and _keys_at(fields[name].annotation, (*detail["loc"][1:], 0)):
        return f"{written}: {inside}: expected a list of tables, each with the heading [[{name}.{inside}]]."
    return f"{written}: {f'{inside}: ' if inside else ''}{_expected(detail)}."


def _expected(detail: ErrorDetails) -> str:
    """Say in plain words which value is expected."""
    if detail["type"] == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    return _EXPECTED.get(detail["type"]) or f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _suggest(key: str, table: Iterable[str], settings: Container[str]) -> str:
    """Suggest a key of a table. In TOML, a setting that is written after a table's heading belongs to that table."""
    if key in settings:
        return f"{key} belongs before the first table of the file."
    names = list(table)
    nearest = get_close_matches(key, names, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"expected {', '.join(names)}."


def _keys_at(annotation: Any, path: Sequence[int | str]) -> Iterable[str]:
    """The keys of the table at a path below a setting of this type."""
    for key in path:
        fields = getattr(annotation, "model_fields", None)
        items = [each for each in get_args(annotation) if each is not ...]
        annotation = fields[key].annotation if fields else items[-1] if items else None
    return getattr(annotation, "model_fields", {})


def origin(key: str, variable: str | None, overrides: Container[str] = ()) -> str:
    """Describe where a setting was written: as an argument, in a variable of the environment, or in the file."""
    if key in overrides:
        return f"The argument {key}"
    written = [name for name, value in os.environ.items() if variable and name.upper() == variable and unwrap(value)]
    file = None if written else config_file()
    return written[0] if written else f"{key} in {file}" if file else variable or key
