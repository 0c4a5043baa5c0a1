"""The published schema of a result, which is shorter than that of its model, accepts each result of the tool."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from maas_mcp.plugins.schemas import output_schema, result_schema
from tests.own_plugins import own_tools

SERVED: Final = own_tools()


@cache
def validator(schema_of: Callable[[Any], Any], returns: Any) -> Validator:
    """The validator of a result. It is created once, because that takes longer than the validation of a value."""
    schema = schema_of(returns)
    kind = validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


@cache
def results(returns: Any) -> st.SearchStrategy[Any]:
    return values(output_schema(returns))


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that are valid for a schema of a result."""
    if "anyOf" in schema:
        return st.one_of([values(each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object" if "properties" in schema:
            fields = {name: values(each) for name, each in schema["properties"].items()}
            needed = {name: fields[name] for name in schema.get("required", ())}
            return st.fixed_dictionaries(needed, optional={name: fields[name] for name in fields.keys() - needed})
        case "object":
            below = schema.get("additionalProperties", True)
            of_each = values(below) if isinstance(below, dict) else st.integers() | st.text(max_size=3)
            return st.dictionaries(st.text(max_size=3), of_each, max_size=2)
        case "array":
            return st.lists(values(schema["items"]), max_size=2)
        case kind:
            kinds: dict[Any, st.SearchStrategy[Any]] = {
                "string": st.text(max_size=5),
                "integer": st.integers(),
                "number": st.floats(allow_nan=False, allow_infinity=False),
                "boolean": st.booleans(),
                "null": st.none(),
            }
            return kinds[kind]


@pytest.mark.parametrize("tool", SERVED.values(), ids=SERVED)
@given(data=st.data())
def test_each_result_is_valid_for_the_published_schema(tool: Any, data: st.DataObject) -> None:
    result = data.draw(results(tool.returns))

    validator(output_schema, tool.returns).validate(result)
    validator(result_schema, tool.returns).validate(result)


@pytest.mark.parametrize("tool", SERVED.values(), ids=SERVED)
def test_the_published_schema_of_a_result_refuses_a_field_of_another_type(tool: Any) -> None:
    properties = result_schema(tool.returns)["properties"]
    simple = [name for name, each in properties.items() if each.get("type") in ("array", "integer", "string")]

    assert simple
    for name in simple:
        with pytest.raises(ValidationError):
            validator(result_schema, tool.returns).validate({name: {"an": "object"}})
