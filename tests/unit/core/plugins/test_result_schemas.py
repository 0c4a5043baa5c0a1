"""Published schemas of results: read from the fields where that gives what pydantic's generator gives."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, RootModel, computed_field, create_model

from maas_mcp.api import SystemId
from maas_mcp.plugins.result_schemas import PUBLISHED_DEPTH, NotPlainError, plain_schema
from maas_mcp.plugins.schemas import _names_and_types, output_schema, result_schema


class Leaf(BaseModel):
    size: int
    note: str | None = None


class Branch(BaseModel):
    leaves: list[Leaf]
    leaf: Leaf | None
    by_name: dict[str, Leaf] = {}


class Colour(StrEnum):
    RED = "red"


class Doubled(BaseModel):
    @computed_field
    def double(self) -> int:
        return 2


class ByValue(BaseModel):
    model_config = ConfigDict(use_enum_values=True)

    size: int


PLAIN: list[Any] = [
    *(
        str,
        int,
        float,
        bool,
        datetime,
        SystemId,
        Any,
        Leaf,
        Branch,
        list[str],
        list[Leaf],
        list[Branch],
        tuple[int, ...],
    ),
    *(set[str], dict[str, Any], Mapping[str, int], Literal["a", "b"], Annotated[int, Field(ge=1)]),
]
ODD: list[Any] = [
    *(timedelta, Colour, Doubled, ByValue, tuple[int, str], int | str, RootModel[int]),
    *(Annotated[int, PlainSerializer(str)], Literal[1, 2]),
]


def by_generator(model: type[BaseModel]) -> dict[str, Any]:
    return _names_and_types(output_schema(model), PUBLISHED_DEPTH)


@given(st.lists(st.sampled_from(PLAIN), max_size=4), st.data())
def test_the_schema_of_plain_fields_is_that_of_the_generator(kinds: list[Any], data: st.DataObject) -> None:
    fields: dict[str, Any] = {
        f"field{number}": (kind | None if data.draw(st.booleans()) and kind is not Any else kind, ...)
        for number, kind in enumerate(kinds)
    }
    model = create_model("Model", **fields)

    assert plain_schema(model).get("properties", {}) == by_generator(model).get("properties", {})


@pytest.mark.parametrize("kind", ODD, ids=str)
def test_other_fields_are_left_to_the_generator(kind: Any) -> None:
    model = create_model("Model", field=(kind, ...))

    with pytest.raises(NotPlainError):
        plain_schema(model)
    assert result_schema(model) == by_generator(model)


def test_the_published_name_of_a_field_is_the_one_in_results() -> None:
    model = create_model("Model", to_=(str, Field(serialization_alias="to")), secret=(str, Field(exclude=True)))

    assert plain_schema(model) == {"type": "object", "properties": {"to": {"type": "string"}}}
