"""Converts the forms in which clients send values to the forms of the schema, before strict validation.

Some models pass every argument, with ``null`` or an empty string for none. Some clients send numbers, booleans, arrays
and objects as JSON strings. A mapping is published as an array of pairs.
"""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from maas_mcp.plugins.portability import PAIR, Schema, choices, entries, kind_of


def read_properties(given: Mapping[str, Any], schema: Schema, where: str = "") -> dict[str, Any]:
    """Convert the properties of an object to the forms of its exact schema.

    - An optional property that is ``null`` or an empty string is left out. A required property keeps an empty string,
      and a nullable one keeps ``null``.
    - List items that are ``null`` or an empty string are left out. A list without other items is left out too, and so
      is an empty list if the schema requires items.
    - A string is parsed as JSON if the schema allows the parsed value and no string: ``"5"``, ``"true"``, ``"[1]"``.
    - A number without a fraction becomes an integer, because JSON has only one number type.
    - An array of names and values becomes a mapping if the schema expects one.

    All other values stay unchanged: the model validates them.

    Args:
        given: The client's values.
        schema: A schema from :func:`~maas_mcp.plugins.schemas.exact_schema`.
        where: The prefix of names in messages.

    Raises:
        ValueError: The array for a mapping has an item that is not a pair, or a name twice.
    """
    known, required = schema.get("properties", {}), schema.get("required", ())
    _, others = entries(schema)
    read = {}
    for name, value in given.items():
        meant = known.get(name, others)
        parsed = _parsed(value, meant)
        found = _read(parsed, meant, f"{where}{name}")
        if name not in known or not _is_left_out(found, parsed, meant, optional=name not in required):
            read[name] = found
    return read


def _is_left_out(found: Any, given: Any, schema: Schema, *, optional: bool) -> bool:
    if found is None:
        return optional or not schema.get("nullable", False)
    if found == []:
        return given != [] or (optional and any(each.get("minItems", 0) > 0 for each in choices(schema)))
    return optional and found == ""


def _read(value: Any, schema: Schema, where: str) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            meant = _list_choice(value, schema)
            if meant.get("type") == "object":
                return read_properties(_mapping(value, where), meant, f"{where}.")
            return _items(value, meant, where)
        case dict():
            return read_properties(value, _object_choice(value, schema), f"{where}.")
    return value


def _items(values: list[Any], schema: Schema, where: str) -> list[Any]:
    places, others = schema.get("prefixItems", ()), schema.get("items", {})
    read = []
    for place, value in enumerate(values):
        meant = places[place] if place < len(places) else others
        found = _read(_parsed(value, meant), meant, f"{where}.{place}")
        if places or not _is_blank(found, meant):
            read.append(found)
    return read


def _is_blank(item: Any, schema: Schema) -> bool:
    if item is None and schema.get("nullable", False):
        return False
    return item in (None, "") and any("type" in each for each in choices(schema))


def _parsed(value: Any, schema: Schema) -> Any:
    """Parse a JSON string, if the schema allows the parsed value and no string."""
    if not isinstance(value, str):
        return value
    kinds = {each.get("type", "string") for each in choices(schema)}
    if not kinds or "string" in kinds:
        return value
    try:
        found = json.loads(value, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return value
    meanings = {"null": {"null"}, "integer": {"integer", "number"}, "array": {"array", "object"}}
    kind = kind_of(found)
    return found if (kinds | {"null"}) & meanings.get(kind, {kind}) else value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


def _object_choice(value: Mapping[str, Any], schema: Schema) -> Schema:
    """The schema for an object: the first choice that has its required names and fixed values."""
    objects = [each for each in choices(schema) if each.get("type") == "object"]
    return next((each for each in objects if _agrees(value, each)), objects[0] if objects else {})


def _agrees(value: Mapping[str, Any], schema: Schema) -> bool:
    fixed = {name: list(choices(each)) for name, each in schema.get("properties", {}).items() if name in value}
    return value.keys() >= set(schema.get("required", ())) and all(
        any(value[name] in choice.get("enum", [value[name]]) for choice in known) for name, known in fixed.items()
    )


def _list_choice(value: list[Any], schema: Schema) -> Schema:
    """The schema for a list: an array, or the entries of a mapping."""
    arrays = [each for each in choices(schema) if each.get("type") == "array"]
    mappings = [each for each in choices(schema) if each.get("type") == "object" and not each.get("properties")]
    if value and all(_is_pair(each) for each in value):
        arrays, mappings = mappings, arrays
    return next(iter([*arrays, *mappings]), {})


def _is_pair(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == set(PAIR) and isinstance(value[PAIR[0]], str)


def _mapping(entries: list[Any], where: str) -> dict[str, Any]:
    name, value = PAIR
    if not all(_is_pair(entry) for entry in entries):
        raise ValueError(
            f"`{where}`: expected an array of objects, each with a `{name}`, which is a string, and a `{value}`."
        )
    mapping = {entry[name]: entry[value] for entry in entries}
    if len(mapping) < len(entries):
        raise ValueError(f"`{where}`: expected each `{name}` only once.")
    return mapping
