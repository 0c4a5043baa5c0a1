"""Sections of the reference generated from the simulator: its control API and the world file."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from maas_simulator.control import COMMANDS, Command
from maas_simulator.worlds.world import World

Schema = Mapping[str, Any]
SUFFIX: Final = "OfWorld"
"""Suffix of class names that readers need not see."""

KINDS: Final = {
    "boolean": "true or false",
    "integer": "whole number",
    "ipv4": "address",
    "ipv4network": "network",
    "number": "number",
    "string": "text",
}


def control() -> str:
    """Return every command of the control API with its fields."""
    known: set[str] = set()
    return "\n\n".join(part for command in COMMANDS for part in _command(command, known))


def world() -> str:
    """Return every key of a world file, except the objects that the control API documents."""
    schema, known = TypeAdapter(World).json_schema(), {"Fault", "Latency", "Planned", "RateLimit"}
    return "\n\n".join([_fields(schema), *_parts(schema, known)])


def _command(command: Command, known: set[str]) -> Iterator[str]:
    """Yield a command. Objects shared by several commands are shown once, below the first."""
    yield f"### `{command.method} {command.path}`"
    yield command.summary
    if command.takes is not type(None):
        schema = TypeAdapter(command.takes).json_schema()
        yield _fields(schema)
        yield from _parts(schema, known)


def _parts(schema: Schema, known: set[str]) -> Iterator[str]:
    for name, part in schema.get("$defs", {}).items():
        if name not in known and "properties" in part:
            known.add(name)
            yield f"`{_title(name)}`: {_words(part)}"
            yield _fields(part)


def _fields(schema: Schema) -> str:
    required = schema.get("required", [])
    lines = ["| Key | Value | Meaning |", "| --- | --- | --- |"]
    for name, field in schema["properties"].items():
        words = ["Required."] if name in required else []
        words += [_words(field)] if field.get("description") else []
        words += [_default(field)] if name not in required else []
        lines.append(f"| `{name}` | {_kind(field)} | {' '.join(filter(None, words))} |")
    return "\n".join(lines)


def _words(schema: Schema) -> str:
    return " ".join(schema.get("description", "").split()).replace("``", "`").replace("|", "\\|")


def _default(field: Schema) -> str:
    default = field.get("default")
    return "" if default in (None, "", {}, []) else f"Default: `{_written(default)}`."


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _kind(schema: Schema) -> str:
    """Describe a type in words. Null is omitted, because it is the same as leaving the key out."""
    match schema:
        case {"$ref": name}:
            kind = f"`{_title(name.rpartition('/')[2])}`"
        case {"anyOf": kinds}:
            kind = " or ".join(_kind(each) for each in kinds if each.get("type") != "null")
        case {"enum": values}:
            kind = ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            kind = f"list of {_kind(items)}"
        case {"propertyNames": {"enum": _} as names}:
            kind = f"one of {_kind(names)}; or several, each with a whole number"
        case {"type": "object", "additionalProperties": {} as value}:
            kind = f"names, each with {_kind(value)}"
        case {"type": "object", "patternProperties": {} as values}:
            kind = f"names, each with {' or '.join(map(_kind, values.values()))}"
        case _:
            kind = KINDS[schema.get("format", schema["type"])]
    return kind


def _title(name: str) -> str:
    return {"Planned": "Plan"}.get(name, name.removesuffix(SUFFIX))
