"""A converter of pydantic's schemas to the subset of JSON Schema that all large clients accept.

google-genai 3.6 fails on a boolean ``additionalProperties``. Gemini's API rejects objects without properties, arrays
without typed items, formats other than ``date-time``, and ``enum`` values that are not strings. OpenAI's strict mode
rejects mappings. The description states the rules that the subset cannot express. The handler checks all rules.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Schema = dict[str, Any]

PAIR: Final = ("name", "value")
"""The keys of one entry of a mapping, which is published as an array of these pairs."""
HEADER: Final = "x-mcp-header"
"""MCP's keyword for an argument that clients repeat in an HTTP header, by which proxies may route a call."""
_ARGUMENT_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
"""The argument names that Anthropic's API accepts. It rejects a whole request with any other name."""
_LOOKAROUND: Final = re.compile(r"\(\?<?[=!]")
_KEPT_RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("pattern", "minLength", "maxLength"),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "boolean": (),
}
_PYTHON_TYPES: Final[Mapping[str, type]] = {
    "null": type(None),
    "boolean": bool,  # an int, to Python
    "integer": int,
    "number": float,
    "string": str,
    "object": Mapping,
    "array": list,
}
_ANY_TYPES: Final = ("string", "number", "boolean")
"""The published types of a value that may be any JSON, because Gemini's API requires a type."""
_ISO_8601: Final = frozenset({"date", "time", "duration"})
_UNMENTIONED_FORMATS: Final = frozenset({"date-time", "password", "binary"})
"""Formats that the description does not mention: ``date-time`` is published, and the others do not help a model."""


def to_portable(schema: Schema) -> Schema:
    """Convert the flat schema of a tool's arguments to the subset.

    Raises:
        ValueError: A client rejects the name of an argument.
    """
    for name in schema["properties"]:
        if not _ARGUMENT_NAME.fullmatch(name):
            raise ValueError(
                f"Clients reject an argument named {name!r}: expected 1 to 64 letters, digits, `_`, `.` or `-`."
            )
    return _convert_object(schema)


def choices(schema: Schema) -> Iterator[Schema]:
    """Yield the alternatives of a schema, each with one ``type``, or without a ``type`` if any value is allowed.

    ``null`` is left out. A ``const`` becomes an ``enum`` with one value.
    """
    for one in schema.get("anyOf") or schema.get("oneOf") or ():
        yield from choices(one)
    if schema.keys() & {"anyOf", "oneOf"}:
        return
    allowed = [schema["const"]] if "const" in schema else schema.get("enum")
    if allowed is not None:
        for each in dict.fromkeys(kind_of(value) for value in allowed if value is not None):
            yield {**schema, "type": each, "enum": [value for value in allowed if kind_of(value) == each]}
        return
    kinds = schema.get("type", _implied(schema))
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind != "null":
            yield {**schema, "type": kind} if kind else schema


def entries(schema: Schema) -> tuple[Schema, Schema]:
    """Return the schemas of a mapping's names and values."""
    patterns = schema.get("patternProperties", {})
    others = schema.get("additionalProperties")
    values = [*patterns.values(), *([others] if isinstance(others, dict) else [])]
    names = {"pattern": next(iter(patterns))} if len(patterns) == 1 else schema.get("propertyNames", {})
    return {**names, "type": "string"}, values[0] if len(values) == 1 else {"anyOf": values} if values else {}


def kind_of(value: Any) -> str:
    """Return the JSON type of a value. It is ``integer`` for all whole numbers."""
    if isinstance(value, float) and value.is_integer():
        return "integer"
    return next(kind for kind, types in _PYTHON_TYPES.items() if isinstance(value, types))


def _implied(schema: Schema) -> str | None:
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    return "array" if schema.keys() & {"items", "prefixItems"} else None


def _convert(schema: Schema) -> Schema:
    """Convert the schema of a value that has one type, or one of several."""
    published: list[Schema] = []
    for choice in choices({key: value for key, value in schema.items() if key != "description"}):
        kinds = [choice["type"]] if "type" in choice else _ANY_TYPES
        published += [each for kind in kinds if (each := _convert_typed({**choice, "type": kind})) not in published]
    if not published:
        published = [{"type": kind} for kind in _ANY_TYPES]
    node: Schema = published[0] if len(published) == 1 else {"anyOf": published}
    text = " ".join(each["description"] for each in (schema, node) if each.get("description"))
    header = {HEADER: schema[HEADER]} if HEADER in schema else {}
    return {**node, **({"description": text} if text else {}), **_convert_default(schema, node), **header}


def _convert_typed(schema: Schema) -> Schema:
    """Convert the schema of a value with one type."""
    kind = schema["type"]
    if kind == "object":
        published = _convert_object(schema) if schema.get("properties") else _convert_mapping(schema)
    elif kind == "array":
        published = _convert_array(schema)
    else:
        published = {
            "type": kind,
            **{key: schema[key] for key in _KEPT_RULES[kind] if key in schema},
            **_convert_bounds(schema),
        }
        if _LOOKAROUND.search(published.get("pattern", "")):
            del published["pattern"]
        if schema.get("format") == "date-time":
            published["format"] = "date-time"
    if kind == "string" and "enum" in schema:
        published["enum"] = [value for value in schema["enum"] if value]  # Gemini's API rejects an empty string
    text = " ".join([*([schema["description"]] if "description" in schema else []), *_describe_rules(schema)])
    return {**published, "description": text} if text else published


def _convert_object(schema: Schema) -> Schema:
    required = {"required": schema["required"]} if schema.get("required") else {}
    properties = {name: _convert(each) for name, each in schema["properties"].items()}
    return {"type": "object", "properties": properties, **required}


def _convert_mapping(schema: Schema) -> Schema:
    """Convert a mapping to an array of its entries."""
    entry = dict(zip(PAIR, entries(schema), strict=True))
    limits = {"minItems": "minProperties", "maxItems": "maxProperties"}
    published: Schema = {"type": "array", "items": _convert_object({"properties": entry, "required": list(PAIR)})}
    return published | {own: schema[key] for own, key in limits.items() if key in schema}


def _convert_array(schema: Schema) -> Schema:
    items = schema.get("items")
    places: Sequence[Schema] = schema.get("prefixItems", ())
    inner = {"anyOf": [*places, items] if isinstance(items, dict) else places} if places else items
    limits: Schema = {key: schema[key] for key in ("minItems", "maxItems") if key in schema}
    return {"type": "array", "items": _convert(inner if isinstance(inner, dict) else {}), **limits}


def _convert_bounds(schema: Schema) -> Schema:
    """Convert the exclusive bounds of an integer to inclusive bounds."""
    bounds = {"minimum": ("exclusiveMinimum", 1), "maximum": ("exclusiveMaximum", -1)}
    if schema["type"] != "integer":
        return {}
    return {published: schema[key] + step for published, (key, step) in bounds.items() if key in schema}


def _describe_rules(schema: Schema) -> Iterator[str]:
    """Describe the rules that the subset cannot express."""
    kind = schema["type"]
    if kind != "string" and "enum" in schema:
        yield f"One of: {', '.join(map(json.dumps, schema['enum']))}."
    if kind == "string" and schema.get("format", "date-time") not in _UNMENTIONED_FORMATS:
        iso = "ISO 8601 " if schema["format"] in _ISO_8601 else ""
        yield f"Format: {iso}{schema['format']}."
    if kind == "number" and "exclusiveMinimum" in schema:
        yield f"More than {schema['exclusiveMinimum']:g}."
    if kind == "number" and "exclusiveMaximum" in schema:
        yield f"Less than {schema['exclusiveMaximum']:g}."
    if kind in {"integer", "number"} and "multipleOf" in schema:
        yield f"A multiple of {schema['multipleOf']:g}."


def _convert_default(schema: Schema, published: Schema) -> Schema:
    default = schema.get("default")
    # A boolean that is left out is false to every model, so `false` is not worth its place.
    if default is None or default is False or default not in published.get("enum", [default]):
        return {}
    if isinstance(default, dict) and published.get("type") == "array":
        default = [dict(zip(PAIR, entry, strict=True)) for entry in default.items()]
    return {"default": default}
