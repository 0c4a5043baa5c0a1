"""Conversion of any plugin's input schemas to the subset that all large clients accept."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, Field, SecretStr, WithJsonSchema, create_model

from maas_mcp.plugins.portability import to_portable
from maas_mcp.plugins.schemas import exact_schema, input_schema
from tests.schema_subset import outside

ANYTHING = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}


class Colour(StrEnum):
    RED = "red"
    NONE = ""


class Number(IntEnum):
    ONE = 1
    TWO = 2


class Part(BaseModel):
    size: int | None = None


class Nothing(BaseModel):
    pass


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str | None = None


def pairs(value: dict[str, Any], **name: Any) -> dict[str, Any]:
    entry = {"name": {"type": "string", **name}, "value": value}
    return {"type": "array", "items": {"type": "object", "properties": entry, "required": ["name", "value"]}}


FIELDS: list[tuple[Any, dict[str, Any]]] = [
    (int | None, {"type": "integer"}),
    (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    (SecretStr, {"type": "string"}),
    (Colour, {"type": "string", "enum": ["red"]}),
    (Number, {"type": "integer", "description": "One of: 1, 2."}),
    (Literal["one"], {"type": "string", "enum": ["one"]}),
    (Literal[True], {"type": "boolean", "description": "One of: true."}),
    (
        Literal["one", 1] | None,
        {"anyOf": [{"type": "string", "enum": ["one"]}, {"type": "integer", "description": "One of: 1."}]},
    ),
    (Part, {"type": "object", "properties": {"size": {"type": "integer"}}}),
    (
        Annotated[Cat | Dog, Field(discriminator="kind")],
        {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"type": "string", "enum": ["cat"]}},
                    "required": ["kind"],
                },
                {
                    "type": "object",
                    "properties": {"kind": {"type": "string", "enum": ["dog"]}, "name": {"type": "string"}},
                    "required": ["kind"],
                },
            ]
        },
    ),
    (
        Annotated[list[int], Field(min_length=1, max_length=3)],
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
    ),
    (set[str], {"type": "array", "items": {"type": "string"}}),
    (list[Any], {"type": "array", "items": ANYTHING}),
    (
        tuple[int, str],
        {
            "type": "array",
            "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "minItems": 2,
            "maxItems": 2,
        },
    ),
    (dict[str, int], pairs({"type": "integer"})),
    (dict[str, Any], pairs(ANYTHING)),
    (dict[Colour, Part], pairs({"type": "object", "properties": {"size": {"type": "integer"}}}, enum=["red"])),
    (dict[Annotated[str, Field(pattern="^a")], int], pairs({"type": "integer"}, pattern="^a")),
    (Annotated[dict[str, int], Field(max_length=2)], {**pairs({"type": "integer"}), "maxItems": 2}),
    (Nothing, pairs(ANYTHING)),
    (Any, ANYTHING),
    (date, {"type": "string", "description": "Format: ISO 8601 date."}),
    (time, {"type": "string", "description": "Format: ISO 8601 time."}),
    (timedelta, {"type": "string", "description": "Format: ISO 8601 duration."}),
    (datetime, {"type": "string", "format": "date-time"}),
    (UUID, {"type": "string", "description": "Format: uuid."}),
    (Path, {"type": "string", "description": "Format: path."}),
    (AnyUrl, {"type": "string", "description": "Format: uri.", "minLength": 1}),
    (bytes, {"type": "string"}),
    (Annotated[str, Field(min_length=2, pattern="^x")], {"type": "string", "minLength": 2, "pattern": "^x"}),
    (Annotated[int, Field(gt=0, lt=5)], {"type": "integer", "minimum": 1, "maximum": 4}),
    (Annotated[int, Field(multiple_of=2)], {"type": "integer", "description": "A multiple of 2."}),
    (Annotated[float, Field(gt=0.5, lt=2)], {"type": "number", "description": "More than 0.5. Less than 2."}),
    (Annotated[str, WithJsonSchema({"type": ["string", "null"]})], {"type": "string"}),
]


def model(kind: Any, **field: Any) -> type[BaseModel]:
    return create_model("Arguments", field=(kind, Field(**field)))


@pytest.mark.parametrize(("kind", "shown"), FIELDS, ids=[str(kind) for kind, _ in FIELDS])
def test_a_field_of_any_type_is_published_in_the_subset(kind: Any, shown: dict[str, Any]) -> None:
    schema = input_schema(model(kind))

    assert outside(schema) == []
    assert schema["properties"]["field"] == shown
    jsonschema.Draft202012Validator.check_schema(schema)


@given(st.lists(st.sampled_from([kind for kind, _ in FIELDS]), min_size=1, max_size=3), st.data())
def test_types_within_types_stay_in_the_subset(kinds: list[Any], data: st.DataObject) -> None:
    kind: Any = kinds[0]
    for other in kinds[1:]:
        kind = data.draw(st.sampled_from([list[kind], dict[str, kind], kind | other, model(kind), kind | None]))

    assert outside(input_schema(model(kind))) == []


def test_a_decimal_has_no_pattern_with_lookaround() -> None:
    schema = input_schema(model(Decimal))

    assert outside(schema) == []
    assert "pattern" not in str(schema)
    looks_around = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?!no)"}}}
    assert to_portable(looks_around)["properties"]["a"] == {"type": "string"}


def test_a_rule_outside_the_subset_is_added_to_the_description() -> None:
    shown = input_schema(model(date | None, default=None, description="When it ends."))["properties"]["field"]

    assert shown == {"type": "string", "description": "When it ends. Format: ISO 8601 date."}


@pytest.mark.parametrize(
    ("kind", "default", "shown"),
    [
        (dict[str, int], {"a": 1}, [{"name": "a", "value": 1}]),
        (dict[str, int], {}, []),
        (list[int], [1], [1]),
        (bool, True, True),
        (Colour, Colour.RED, "red"),
        (int | str, 5, 5),
    ],
)
def test_a_default_has_the_published_form(kind: Any, default: Any, shown: Any) -> None:
    schema = input_schema(model(kind, default=default))["properties"]["field"]

    assert schema["default"] == shown
    jsonschema.validate(shown, schema)


def test_the_default_false_is_left_out() -> None:
    assert input_schema(model(bool, default=False))["properties"]["field"] == {"type": "boolean"}


def test_a_default_outside_the_published_values_is_left_out() -> None:
    assert "default" not in input_schema(model(Colour, default=Colour.NONE))["properties"]["field"]


@pytest.mark.parametrize("name", ["two words", "$type", "x" * 65, "größe"])
def test_an_argument_name_that_clients_reject_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="Clients reject an argument named"):
        input_schema(model(int, alias=name))


def test_the_exact_schema_keeps_nullable() -> None:
    assert exact_schema(model(int | None))["properties"]["field"] == {"type": "integer", "nullable": True}
