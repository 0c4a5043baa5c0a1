"""Converts ``KEY=VALUE`` arguments to JSON by a tool's input schema, and formats the help for them."""

import json
import math
import shutil
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, NoReturn

import click
from mcp_types import Tool

from maas_mcp.cli.common import MIN_COLUMNS
from maas_mcp.plugins.portability import PAIR
from maas_mcp.setting_types import expand_user, is_utf8
from maas_mcp.text_files import read_text

Schema = Mapping[str, Any]

MAX_COLUMNS: Final = 100
"""Columns; longer lines are hard to read."""


class _ArgumentError(ValueError):
    """An invalid argument. ``keys`` names the arguments whose description helps to correct it."""

    def __init__(self, problem: str, *keys: str) -> None:
        super().__init__(problem)
        self.keys = keys


def parse(tool: Tool, pairs: Iterable[str]) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` pairs to the arguments of ``tool``.

    Raises:
        click.UsageError: An argument is unknown, repeated, missing, or of the wrong type. The message describes the
            arguments in question and never contains a value, which may be a secret.
    """
    try:
        return _parse_pairs(tool, pairs)
    except _ArgumentError as error:
        problem = error
    raise click.UsageError(f"{problem}\n\n{_error_help(tool, problem.keys)}")


def find_tool(tools: Mapping[str, Tool], name: str) -> Tool:
    """Return the tool called ``name``.

    Raises:
        click.UsageError: There is no such tool. The message suggests the nearest name, or lists all tools.
    """
    tool = tools.get(name)
    if tool is None:
        close = get_close_matches(name, tools, n=1) or [each for each in tools if name in each][:1]
        suggestion = f"Did you mean {close[0]}?" if close else f"The tools are: {', '.join(tools)}."
        raise click.UsageError(f"There is no tool {name!r}. {suggestion}")
    return tool


def properties(tool: Tool) -> dict[str, Schema]:
    """Return the schema of each argument of the tool."""
    return dict(tool.input_schema.get("properties", {}))


def describe(tool: Tool, only: Collection[str] = ()) -> str:
    """Describe the tool's arguments for a terminal, required ones first.

    Args:
        tool: The tool.
        only: Names of the arguments to describe. By default all.
    """
    required = set(tool.input_schema.get("required", []))
    known = sorted(properties(tool).items(), key=lambda item: item[0] not in required)
    if not known:
        return f"{tool.name} takes no arguments."
    shown = [(key, schema) for key, schema in known if not only or key in only]
    rows = [(f"{key}={_type_label(schema)}", _explanation(schema, needed=key in required)) for key, schema in shown]
    formatter = click.HelpFormatter(width=max(MIN_COLUMNS, min(shutil.get_terminal_size().columns, MAX_COLUMNS)))
    with formatter.section(f"Arguments of {tool.name}"):
        formatter.write_dl(rows)
    return formatter.getvalue().rstrip()


def summary(tool: Tool) -> str:
    """Return the first sentence of the tool's description."""
    text = " ".join((tool.description or "").split())
    first, stop, _ = text.partition(". ")
    return first + "." if stop else text


def _error_help(tool: Tool, keys: Collection[str]) -> str:
    """Describe only ``keys``: the descriptions of all arguments would scroll the error off a small terminal."""
    if not properties(tool):
        return describe(tool)
    shown = describe(tool, keys) if keys else f"Arguments of {tool.name}: {', '.join(properties(tool))}."
    return f"{shown}\n\n`maas-mcp call --list {tool.name}` describes all of its arguments."


def _parse_pairs(tool: Tool, pairs: Iterable[str]) -> dict[str, Any]:
    known = properties(tool)
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, value = _split_pair(pair, known)
        if key in arguments:
            raise _ArgumentError(f"{key} is given more than once.", key)
        arguments[key] = _parse_argument(key, value, known[key])
    missing = [key for key in tool.input_schema.get("required", []) if key not in arguments]
    if missing:
        raise _ArgumentError(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.", *missing)
    return arguments


def _split_pair(pair: str, known: Mapping[str, Schema]) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals:
        raise _ArgumentError("An argument has no `=`. Expected KEY=VALUE.")
    if key not in known:
        close = get_close_matches(key, known, n=1)
        meant = f" Did you mean {close[0]}?" if close else ""
        raise _ArgumentError(f"{key[:40]} is not an argument of this tool.{meant}")
    if value.startswith("@") and not value.startswith("@@"):
        return key, _read_file(key, value[1:])
    if not is_utf8(value):
        raise _ArgumentError(f"{key}: the value is not UTF-8 text.", key)
    return key, value.removeprefix("@")


def _read_file(key: str, name: str) -> str:
    if not name:
        raise _ArgumentError(f"{key}: expected a file name after @. For the value @ itself, write @@.", key)
    try:
        return read_text(expand_user(name))
    except ValueError as error:
        problem = str(error)
    raise _ArgumentError(f"{key}: {name} cannot be read: {problem}.", key)


def _parse_argument(key: str, text: str, schema: Schema) -> Any:
    try:
        return _parse_value(text, schema)
    except ValueError as error:
        raise _ArgumentError(f"{key}: {error}.", key) from None


def _parse_value(text: str, schema: Schema) -> Any:
    """Parse ``text`` by the schema. A ``ValueError`` names the expected form."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return _parse_first_match(text, choices)
    if "enum" in schema:
        return _parse_choice(text, schema["enum"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return _parse_first_match(text, [{**schema, "type": each} for each in sorted(kind, key="string".__eq__)])
    if kind == "string":
        return text
    if kind == "array":
        return _parse_list(text, schema.get("items", {}))
    return _parse_json(text.strip(), kind)


def _parse_first_match(text: str, schemas: Iterable[Schema]) -> Any:
    problems = []
    for schema in schemas:
        try:
            return _parse_value(text, schema)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(", or ".join(problems))


def _parse_choice(text: str, allowed: list[Any]) -> Any:
    by_text = {each if isinstance(each, str) else json.dumps(each): each for each in allowed}
    if text not in by_text:
        close = get_close_matches(text, by_text, n=1)
        raise ValueError("expected one of the values below" + (f"; the nearest is {close[0]}" if close else ""))
    return by_text[text]


def _parse_list(text: str, items: Schema) -> list[Any] | dict[str, Any]:
    if _is_mapping(items) and text.lstrip().startswith("{"):
        return dict(_parse_json(text, "object"))
    if not text.lstrip().startswith("["):
        read = _parse_pair if _is_mapping(items) else _parse_value
        return [read(part.strip(), items) for part in text.split(",")] if text.strip() else []
    values = _parse_json(text, "array")
    return list(values)


def _is_mapping(items: Schema) -> bool:
    """Whether an array of these items represents a mapping."""
    return bool(items.get("properties", {}).keys() == set(PAIR))


def _parse_pair(text: str, items: Schema) -> dict[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("expected NAME=VALUE pairs separated by commas, or a JSON object")
    return dict(zip(PAIR, (name, _parse_value(value, items["properties"][PAIR[1]])), strict=True))


def _parse_json(text: str, kind: str) -> Any:
    expected, types = _JSON[kind]
    try:
        value = json.loads(text, parse_constant=_reject_constant, parse_float=_parse_finite_float)
    except (ValueError, RecursionError):
        if kind == "any":
            return text
        raise ValueError(f"expected {expected}") from None
    if not isinstance(value, types) or (isinstance(value, bool) and kind in {"integer", "number"}):
        raise ValueError(f"expected {expected}")
    return value


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _parse_finite_float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _reject_constant(text)


_JSON: Final[Mapping[str, tuple[str, type | tuple[type, ...]]]] = {
    "any": ("JSON", object),
    "array": ("items separated by commas, or a JSON array", list),
    "boolean": ("true or false", bool),
    "integer": ("an integer", int),
    "null": ("null", type(None)),
    "number": ("a number", (int, float)),
    "object": ("a JSON object", dict),
}
"""The phrase for each JSON type in messages, and the Python types that it is parsed to."""


def _type_label(schema: Schema) -> str:
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return "|".join(_type_label(each) for each in choices)
    kind = schema.get("type", "VALUE")
    if kind == "array":
        items = schema.get("items", {})
        return f"{'NAME=VALUE' if _is_mapping(items) else _type_label(items)},…"
    if kind == "boolean":
        return "true|false"
    return "|".join(kind).upper() if isinstance(kind, list) else str(kind).upper()


def _explanation(schema: Schema, *, needed: bool) -> str:
    allowed = schema.get("enum") or schema.get("items", {}).get("enum")
    parts = [
        "Required." if needed else "",
        schema.get("description", ""),
        f"One of: {', '.join(map(str, allowed))}." if allowed else "",
        f"Default: {json.dumps(schema['default'])}." if "default" in schema else "",
    ]
    return " ".join(part for part in parts if part)
