"""Schemas of arguments: read from the fields where that gives what pydantic's generator gives."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    RootModel,
    SecretStr,
    WithJsonSchema,
    create_model,
    field_validator,
    model_validator,
)

from maas_mcp.api import SystemId
from maas_mcp.plugins.argument_schemas import plain_arguments
from maas_mcp.plugins.registry import load_registry
from maas_mcp.plugins.result_schemas import NotPlainError
from maas_mcp.plugins.schemas import exact_schema, generated_arguments
from maas_mcp.server.operation_tools import OPERATION_TOOLS


def unchanged(value: Any) -> Any:
    return value


Name = Annotated[str, Field(min_length=1, max_length=255), WithJsonSchema({"type": "string"})]
Checked = Annotated[str, AfterValidator(unchanged)]
Moment = Annotated[datetime, BeforeValidator(unchanged), WithJsonSchema({"type": "string"})]


class Colour(StrEnum):
    RED = "red"


class Inner(BaseModel):
    size: int


class ByValue(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int


class CheckedBefore(BaseModel):
    size: int

    _check = field_validator("size", mode="before", json_schema_input_type=str)(unchanged)


PLAIN: list[Any] = [
    *(str, int, float, bool, SecretStr, SystemId, Name, Checked, Moment, Literal["a", "b"]),
    *(list[str], list[Name], list[list[Checked]], dict[str, str], dict[str, SecretStr], dict[str, Name]),
    *(Annotated[int, Field(ge=1, le=4)], Annotated[float, Field(gt=0, lt=1.5)], Annotated[str, Field(min_length=1)]),
    *(Annotated[list[Name], Field(min_length=1, max_length=9)], Annotated[int, Field(ge=1), AfterValidator(unchanged)]),
]
ODD: list[Any] = [
    *(datetime, Colour, Inner, RootModel[int], int | str, set[str], tuple[int, ...], Any, Literal[1, 2], Literal["a"]),
    *(dict[Name, str], Annotated[str, Field(pattern="a")], Annotated[str, Field(description="Inside.")] | None),
    *(Annotated[int, PlainValidator(unchanged)], Annotated[str, WithJsonSchema({"type": "string"}, mode="validation")]),
    *(Annotated[int, BeforeValidator(unchanged, json_schema_input_type=str)], Annotated[int, Field(multiple_of=2)]),
    *(Annotated[int, AfterValidator(unchanged), Field(ge=1)], Annotated[Name, Field(max_length=9)]),
    *(Annotated[dict[str, str], Field(min_length=1)], Annotated[Annotated[int, Field(ge=1)], Field(ge=2)]),
]
MORE: list[dict[str, Any]] = [
    *({"alias": "other"}, {"title": "Other"}, {"examples": ["a"]}, {"deprecated": True}, {"default": Colour.RED}),
    *({"json_schema_extra": {"x-mcp-header": "a"}}, {"default": ["a"]}, {"pattern": "a"}),
]


@given(st.lists(st.sampled_from(PLAIN), max_size=4), st.data())
def test_the_schema_of_plain_fields_is_that_of_the_generator(kinds: list[Any], data: st.DataObject) -> None:
    fields: dict[str, Any] = {}
    for number, kind in enumerate(kinds):
        nullable, described = data.draw(st.booleans()), data.draw(st.booleans())
        default: Any = data.draw(st.sampled_from([..., None, True, 3, 0.5, "a", []]))
        field = Field(default, description="A field." if described else None)
        fields[f"field{number}"] = (kind | None if nullable else kind, field)
    model = create_model("Model", **fields)

    assert plain_arguments(model) == generated_arguments(model)


@pytest.mark.parametrize("rule", [{"ge": 1}, {"le": 2, "description": "At most two."}])
def test_a_rule_holds_for_a_value_that_may_be_left_out(rule: dict[str, Any]) -> None:
    model = create_model("Model", field=(int | None, Field(default=None, **rule)))

    assert plain_arguments(model) == generated_arguments(model)


@pytest.mark.parametrize("kind", ODD)
def test_other_fields_are_left_to_the_generator(kind: Any) -> None:
    model = create_model("Model", field=(kind, ...))

    with pytest.raises(NotPlainError):
        plain_arguments(model)
    assert exact_schema(model) == generated_arguments(model)


@pytest.mark.parametrize("more", MORE)
def test_fields_that_say_more_are_left_to_the_generator(more: dict[str, Any]) -> None:
    model = create_model("Model", field=(Any if "default" in more else str, Field(**more)))

    with pytest.raises(NotPlainError):
        plain_arguments(model)


@pytest.mark.parametrize("model", [ByValue, CheckedBefore, RootModel[int]])
def test_other_models_are_left_to_the_generator(model: type[BaseModel]) -> None:
    with pytest.raises(NotPlainError):
        plain_arguments(model)


def test_checks_of_a_model_do_not_change_its_schema() -> None:
    class Both(BaseModel, defer_build=True):
        """Two names."""

        one: str
        other: str | None = None

        @model_validator(mode="after")
        def _differ(self) -> Self:
            return self

    assert plain_arguments(Both) == generated_arguments(Both)


def test_the_arguments_of_all_tools_are_plain() -> None:
    """Otherwise each start builds the validators of tools that no client calls."""
    for tool in [*load_registry().tools.values(), *OPERATION_TOOLS]:
        assert plain_arguments(tool.arguments) == generated_arguments(tool.arguments), tool.name
