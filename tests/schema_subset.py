"""A check that a schema is in the subset of JSON Schema that all large clients accept."""

from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]

BY_TYPE: Final[dict[str, set[str]]] = {
    "object": {"properties", "required"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"enum", "pattern", "minLength", "maxLength", "format"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set(),
}


def outside(schema: Schema) -> list[str]:
    """List the parts of an argument schema that a large client rejects."""
    if "anyOf" in schema or schema.get("type") != "object" or "properties" not in schema:
        return [f"the root is not an object with properties: {sorted(schema)}"]
    inner = [problem for name, each in schema["properties"].items() for problem in _outside(each, name)]
    return [*_keys(schema, "the root"), *inner]


def _outside(node: Any, where: str) -> Iterator[str]:
    if not isinstance(node, dict):
        yield f"{where}: {node!r} is not a schema"
        return
    if "anyOf" in node:
        if unknown := node.keys() - {"anyOf", "description", "default"}:
            yield f"{where}: {unknown} next to anyOf"
        for place, each in enumerate(node["anyOf"]):
            yield from _outside(each, f"{where}|{place}")
        return
    if not isinstance(node.get("type"), str) or node["type"] not in BY_TYPE:
        yield f"{where}: the type is {node.get('type')!r}"
        return
    yield from _keys(node, where)
    if node["type"] == "object":
        if not node.get("properties"):
            yield f"{where}: an object without properties"
        for name, each in node.get("properties", {}).items():
            yield from _outside(each, f"{where}.{name}")
    if node["type"] == "array":
        yield from _outside(node.get("items"), f"{where}[]")


def _keys(node: Schema, where: str) -> Iterator[str]:
    if unknown := node.keys() - BY_TYPE[node["type"]] - {"type", "description", "default"}:
        yield f"{where}: {unknown} on {node['type']}"
    if node.get("format", "date-time") != "date-time":
        yield f"{where}: the format {node['format']}"
    if not all(isinstance(value, str) and value for value in node.get("enum", ())):
        yield f"{where}: the enum {node['enum']}"
    if not set(node.get("required", ())) <= node.get("properties", {}).keys():
        yield f"{where}: requires a property that it does not have"
