"""Arguments of a tool on the command line: ``KEY=VALUE`` to JSON by the tool's input schema, and its help."""

import json
import math
import shutil
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, NoReturn

import click
from mcp_types import Tool

from maas_mcp.cli.common import NARROWEST
from maas_mcp.plugins.portability import PAIR
from maas_mcp.settings import expand_user, is_utf8
from maas_mcp.text_files import read_text

Schema = Mapping[str, Any]

WIDEST: Final = 100
"""Columns beyond which lines are hard to read."""


class _ArgumentError(ValueError):
    """An argument that cannot be taken; ``keys`` are those whose explanation helps, if there are any."""

    def __init__(self, problem: str, *keys: str) -> None:
        super().__init__(problem)
        self.keys = keys


def parse(tool: Tool, pairs: Iterable[str]) -> dict[str, Any]:
    """The arguments that ``pairs`` of ``KEY=VALUE`` mean to ``tool``.

    Raises:
        click.UsageError: One is unknown, given twice, of the wrong type, or missing. The message explains the
            arguments that it is about, and never has a value.
    """
    try:
        return _parsed(tool, pairs)
    except _ArgumentError as error:
        problem = error
    raise click.UsageError(f"{problem}\n\n{_help(tool, problem.keys)}")


def find(tools: Mapping[str, Tool], name: str) -> Tool:
    """The tool called ``name``.

    Raises:
        click.UsageError: There is none; the message has the nearest ones.
    """
    tool = tools.get(name)
    if tool is None:
        close = get_close_matches(name, tools, n=1) or [each for each in tools if name in each][:1]
        known = f"Did you mean {close[0]}?" if close else f"The tools are: {', '.join(tools)}."
        raise click.UsageError(f"There is no tool {name!r}. {known}")
    return tool


def properties(tool: Tool) -> dict[str, Schema]:
    """The tool's arguments with their schemas."""
    return dict(tool.input_schema.get("properties", {}))


def describe(tool: Tool, only: Collection[str] = ()) -> str:
    """The tool's arguments for people, the required ones first.

    Args:
        tool: The tool.
        only: Those to describe; by default all.
    """
    required = set(tool.input_schema.get("required", []))
    known = sorted(properties(tool).items(), key=lambda item: item[0] not in required)
    if not known:
        return f"{tool.name} takes no arguments."
    shown = [(key, schema) for key, schema in known if not only or key in only]
    rows = [(f"{key}={_kind(schema)}", _explained(schema, needed=key in required)) for key, schema in shown]
    formatter = click.HelpFormatter(width=max(NARROWEST, min(shutil.get_terminal_size().columns, WIDEST)))
    with formatter.section(f"Arguments of {tool.name}"):
        formatter.write_dl(rows)
    return formatter.getvalue().rstrip()


def summary(tool: Tool) -> str:
    """The first sentence of the tool's description."""
    text = " ".join((tool.description or "").split())
    first, stop, _ = text.partition(". ")
    return first + "." if stop else text


def _help(tool: Tool, keys: Collection[str]) -> str:
    """What helps against the error. All explanations would push the problem itself out of a small terminal."""
    if not properties(tool):
        return describe(tool)
    shown = describe(tool, keys) if keys else f"Arguments of {tool.name}: {', '.join(properties(tool))}."
    return f"{shown}\n\n`maas-mcp call --list {tool.name}` explains all of its arguments."


def _parsed(tool: Tool, pairs: Iterable[str]) -> dict[str, Any]:
    known = properties(tool)
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, value = _split(pair, known)
        if key in arguments:
            raise _ArgumentError(f"{key} is given twice.", key)
        arguments[key] = _checked(key, value, known[key])
    missing = [key for key in tool.input_schema.get("required", []) if key not in arguments]
    if missing:
        raise _ArgumentError(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.", *missing)
    return arguments


def _split(pair: str, known: Mapping[str, Schema]) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals:
        raise _ArgumentError("Expected arguments of the form KEY=VALUE, and one of them has no `=`.")
    if key not in known:
        close = get_close_matches(key, known, n=1)
        meant = f" Did you mean {close[0]}?" if close else ""
        raise _ArgumentError(f"{key[:40]} is not an argument of this tool.{meant}")
    if value.startswith("@") and not value.startswith("@@"):
        return key, _read(key, value[1:])
    if not is_utf8(value):
        raise _ArgumentError(f"{key}: expected UTF-8 text.", key)
    return key, value.removeprefix("@")


def _read(key: str, name: str) -> str:
    if not name:
        raise _ArgumentError(
            f"{key}: expected the name of a file after the @. A value that is only @ is written @@.", key
        )
    try:
        return read_text(expand_user(name))
    except ValueError as error:
        problem = str(error)
    raise _ArgumentError(f"{key}: {name} cannot be read: {problem}.", key)


def _checked(key: str, text: str, schema: Schema) -> Any:
    try:
        return _value(text, schema)
    except ValueError as error:
        raise _ArgumentError(f"{key}: {error}.", key) from None


def _value(text: str, schema: Schema) -> Any:
    """``text`` as the schema wants it. Its ``ValueError`` says what was expected."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return _first_that_fits(text, choices)
    if "enum" in schema:
        return _one_of(text, schema["enum"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return _first_that_fits(text, [{**schema, "type": each} for each in sorted(kind, key="string".__eq__)])
    if kind == "string":
        return text
    if kind == "array":
        return _list(text, schema.get("items", {}))
    return _json(text.strip(), kind)


def _first_that_fits(text: str, schemas: Iterable[Schema]) -> Any:
    problems = []
    for schema in schemas:
        try:
            return _value(text, schema)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(", or ".join(problems))


def _one_of(text: str, allowed: list[Any]) -> Any:
    by_text = {each if isinstance(each, str) else json.dumps(each): each for each in allowed}
    if text not in by_text:
        close = get_close_matches(text, by_text, n=1)
        raise ValueError("expected one of the values below" + (f"; the nearest is {close[0]}" if close else ""))
    return by_text[text]


def _list(text: str, items: Schema) -> list[Any] | dict[str, Any]:
    if _are_pairs(items) and text.lstrip().startswith("{"):
        return dict(_json(text, "object"))
    if not text.lstrip().startswith("["):
        read = _pair if _are_pairs(items) else _value
        return [read(part.strip(), items) for part in text.split(",")] if text.strip() else []
    values = _json(text, "array")
    return list(values)


def _are_pairs(items: Schema) -> bool:
    """Whether an array of these is a mapping."""
    return bool(items.get("properties", {}).keys() == set(PAIR))


def _pair(text: str, items: Schema) -> dict[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("expected NAME=VALUE, separated by commas, or a JSON object")
    return dict(zip(PAIR, (name, _value(value, items["properties"][PAIR[1]])), strict=True))


def _json(text: str, kind: str) -> Any:
    expected, types = _JSON[kind]
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        if kind == "any":
            return text
        raise ValueError(f"expected {expected}") from None
    if not isinstance(value, types) or (isinstance(value, bool) and kind in {"integer", "number"}):
        raise ValueError(f"expected {expected}")
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


_JSON: Final[Mapping[str, tuple[str, type | tuple[type, ...]]]] = {
    "any": ("JSON", object),
    "array": ("a list: items separated by commas, or a JSON array", list),
    "boolean": ("true or false", bool),
    "integer": ("an integer", int),
    "null": ("null", type(None)),
    "number": ("a number", (int, float)),
    "object": ("a JSON object", dict),
}
"""What each JSON type is called in a message, and what Python parses it to."""


def _kind(schema: Schema) -> str:
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return "|".join(_kind(each) for each in choices)
    kind = schema.get("type", "VALUE")
    if kind == "array":
        items = schema.get("items", {})
        return f"{'NAME=VALUE' if _are_pairs(items) else _kind(items)},…"
    if kind == "boolean":
        return "true|false"
    return "|".join(kind).upper() if isinstance(kind, list) else str(kind).upper()


def _explained(schema: Schema, *, needed: bool) -> str:
    allowed = schema.get("enum") or schema.get("items", {}).get("enum")
    parts = [
        "Required." if needed else "",
        schema.get("description", ""),
        f"One of: {', '.join(map(str, allowed))}." if allowed else "",
        f"Default: {json.dumps(schema['default'])}." if "default" in schema else "",
    ]
    return " ".join(part for part in parts if part)
