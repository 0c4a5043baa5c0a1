"""JSON Schemas of tools: made from pydantic models, flat, and as short as they can be for a model's context window."""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from maas_mcp.plugins.portability import Schema, portable


class _Short(GenerateJsonSchema):
    """Leaves out the titles, which only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's own hook
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return (
            self.generate_inner(schema["schema"])
            if schema.get("default", ...) is None
            else super().default_schema(schema)
        )

    def encode_default(self, dft: Any) -> Any:
        # The base class makes a validator for each default, which took a sixth of the time.
        return dft if type(dft) in {bool, int, float, str} else super().encode_default(dft)


class _ShortInput(_Short):
    """Publishes no ``null``: an argument that may be null may also be left out. ``nullable`` keeps what it says."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return {**self.generate_inner(schema["schema"]), "nullable": True}


@cache  # many tools share a model
def exact_schema(model: type[BaseModel]) -> Schema:
    """What the model takes, as pydantic describes it; with ``nullable`` where it takes ``null``."""
    return _flat(model.model_json_schema(mode="validation", schema_generator=_ShortInput))


@cache
def input_schema(model: type[BaseModel]) -> Schema:
    """The schema of a tool's arguments, as it is published.

    Raises:
        ValueError: It cannot be shown to clients.
    """
    return portable(exact_schema(model))


@cache
def output_schema(model: type[BaseModel]) -> Schema:
    """The schema of a tool's structured content. Every field is always there, ``null`` where MAAS has nothing."""
    return _flat(model.model_json_schema(mode="serialization", schema_generator=_Short))


def _flat(schema: Schema) -> Schema:
    """The schema with its references filled in: many clients follow none.

    Raises:
        ValueError: A model contains itself, so that it would never end.
    """
    definitions = {name: _untitled(definition) for name, definition in schema.pop("$defs", {}).items()}

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

    flat: Schema = filled(_untitled(schema))
    return {"properties": {}, **flat, "type": "object"}


def _untitled(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in {"title", "description"}}
