"""JSON Schemas of tools, generated from pydantic models: flat, and short to save space in a model's context window."""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from maas_mcp.plugins.portability import Schema, to_portable
from maas_mcp.plugins.result_schemas import PUBLISHED_DEPTH, NotPlainError, nullable, plain_schema


class _Short(GenerateJsonSchema):
    """Leaves out titles, because they repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's own hook
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return (
            self.generate_inner(schema["schema"])
            if schema.get("default", ...) is None
            else super().default_schema(schema)
        )

    def encode_default(self, dft: Any) -> Any:
        # The base class builds a validator for each default, which takes a sixth of the time.
        return dft if type(dft) in {bool, int, float, str} else super().encode_default(dft)


class _ShortInput(_Short):
    """Publishes no ``null``, because a nullable argument may be left out. ``nullable`` keeps the information."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return {**self.generate_inner(schema["schema"]), "nullable": True}


@cache  # many tools share a model
def exact_schema(model: type[BaseModel]) -> Schema:
    """Return pydantic's flat schema of the model's input, with ``nullable`` in place of ``null``."""
    return _inline_references(model.model_json_schema(mode="validation", schema_generator=_ShortInput))


@cache
def input_schema(model: type[BaseModel]) -> Schema:
    """Return the published schema of a tool's arguments.

    Raises:
        ValueError: The schema cannot be published.
    """
    return to_portable(exact_schema(model))


@cache
def output_schema(model: type[BaseModel]) -> Schema:
    """Return the schema of a tool's structured content. All fields are present, ``null`` if MAAS has no value."""
    return _inline_references(model.model_json_schema(mode="serialization", schema_generator=_Short))


@cache
def result_schema(model: type[BaseModel]) -> Schema:
    """Return the published schema of a tool's structured content: the names and types of its fields.

    Clients validate structured content with it, and no model reads it. So it is short: the fields of the result and of
    the objects in them, but not those of the objects inside these. The reference pages have the rest.
    """
    try:
        return plain_schema(model)
    except NotPlainError:
        return _names_and_types(output_schema(model), PUBLISHED_DEPTH)


def _names_and_types(schema: Schema, depth: int) -> Schema:
    """Reduce a flat schema. Each value that is valid for the schema is valid for the reduced one."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        published = [_names_and_types(each, depth) for each in choices if each != {"type": "null"}]
        if len(published) == len(choices):
            return {"anyOf": published}
        return nullable(published[0]) if len(published) == 1 else {"anyOf": [*published, {"type": "null"}]}
    kept: Schema = {key: schema[key] for key in ("type", "enum", "const") if key in schema}
    if depth > 0 and (properties := schema.get("properties")):
        kept["properties"] = {name: _names_and_types(each, depth - 1) for name, each in properties.items()}
    items = {} if "prefixItems" in schema else schema.get("items")
    if isinstance(items, dict) and "properties" in (rows := _names_and_types(items, depth)):
        kept["items"] = rows
    return kept


def _inline_references(schema: Schema) -> Schema:
    """Replace the schema's references by their definitions, because many clients do not follow references.

    Raises:
        ValueError: A model contains itself.
    """
    definitions = {name: _remove_titles(definition) for name, definition in schema.pop("$defs", {}).items()}

    def filled(node: Any, within: tuple[str, ...] = ()) -> Any:
        if isinstance(node, list):
            return [filled(each, within) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            name = node["$ref"].removeprefix("#/$defs/")
            if name in within:
                raise ValueError(f"{name} contains itself")
            node = {**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}
            within = (*within, name)
        return {key: filled(value, within) for key, value in node.items()}

    flat: Schema = filled(_remove_titles(schema))
    return {"properties": {}, **flat, "type": "object"}


def _remove_titles(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in {"title", "description"}}
