"""Base models for what users write (world files, control requests), and error messages with the place of each error."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

Schema = Mapping[str, Any]
"""A JSON Schema."""

Place = tuple[int | str, ...]
"""A place in a world file: ``("machines", 2, "zone")``."""

UNKNOWN: Final = ("extra_forbidden", "unexpected_keyword_argument")
"""Pydantic's error types for an unknown key, in a model and in a dataclass."""
OBJECTS: Final = ("dataclass_type", "dict_type", "model_type")
"""Pydantic's error types for a value that should be an object."""


class Input(BaseModel):
    """An object from a world file or a control request. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class WorldError(ValueError):
    """A world whose parts do not fit together; ``place`` is the place of the bad value."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


def find_duplicate(values: Iterable[str]) -> int | None:
    """The index of the first duplicate, or None."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            return index
        seen.add(value)
    return None


def check_unique(place: Place, key: str, values: Sequence[str]) -> None:
    """Raise a :class:`WorldError` for a name that occurs twice."""
    if (duplicate := find_duplicate(values)) is not None:
        raise WorldError((*place, duplicate, key), f"the name {values[duplicate]} is taken; names must be unique")


def check_known(place: Place, kind: str, name: str, known: Collection[str]) -> None:
    """Raise a :class:`WorldError` for a name that does not exist."""
    if name not in known:
        raise WorldError(place, f"there is no {kind} {name!r}; known: {', '.join(known)}")


def explain(error: ValidationError, kind: TypeAdapter[Any]) -> list[str]:
    """Return a line for each error, with its place, the problem and the allowed values."""
    schema = kind.json_schema()
    return [_line(details["loc"], _message(details), details["type"], schema) for details in error.errors()]


def _message(details: ErrorDetails) -> str:
    """The error message, with the value where YAML may have parsed a name as a number or a date."""
    if details["type"] == "string_pattern_mismatch":
        return f"{details['msg']}; it was {details['input']!r}"
    if details["type"] == "string_type" and isinstance(details["input"], (int, float, date)):
        return f"{details['msg']}; it was {details['input']}, so put it in quotes"
    return details["msg"]


def _line(place: Sequence[int | str], message: str, kind: str, schema: Schema) -> str:
    path, known = "", _objects(schema, schema)
    for part in place:
        if kind in UNKNOWN and part == place[-1]:
            keys = dict.fromkeys(key for each in known for key in each.get("properties", {}))
            message = f"unknown key; the keys are: {', '.join(keys)}"
        elif not (known := [found for each in known for found in _children(each, part, schema)]):
            break  # The remaining parts name an alternative of a union, which the user did not write.
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    if kind in OBJECTS:
        message = "expected an object with keys and values"
    message = message.removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _objects(schema: Schema, whole: Schema) -> list[Schema]:
    """The schema with its reference resolved, or each of its alternatives."""
    if "$ref" in schema:
        return _objects(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "anyOf" in schema:
        return [each for one in schema["anyOf"] for each in _objects(one, whole)]
    return [schema]


def _children(schema: Schema, part: int | str, whole: Schema) -> list[Schema]:
    """The schemas of the value at an index or key; empty if there is none."""
    more = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
    inner = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part, more)
    return [] if inner is None else _objects(inner, whole)
