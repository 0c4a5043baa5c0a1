"""Arguments of tool calls: accepted forms, and messages about invalid ones."""

import json
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from maas_mcp.api import Tool, ToolContext
from maas_mcp.calls.arguments import CallOptions, ClientFeatures, parse_arguments, published_arguments
from maas_mcp.errors import InvalidArgumentsError
from maas_mcp.operations.declaring.operation import CancelPolicy
from maas_mcp.server.tools import mcp_tool
from tests.unit.core.server.declared import (
    Args,
    Circle,
    Colour,
    Count,
    Fill,
    Forms,
    Grow,
    Inner,
    Need,
    Shrink,
    Sort,
    Square,
)

EARLY = ClientFeatures(meta_argument=True)


def test_arguments_become_the_model() -> None:
    model, options = parse_arguments(Count(), {"system_id": "4y3h7n", "count": 2})

    assert model == Args(system_id="4y3h7n", count=2)
    assert options == CallOptions()


def test_missing_arguments_are_validated() -> None:
    with pytest.raises(InvalidArgumentsError, match="`system_id`: field required"):
        parse_arguments(Count(), None)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"system_id": "../../users"}, "`system_id`: a system id is MAAS's short id of a machine, such as 4y3h7n"),
        ({"system_id": "node07.maas"}, "not its hostname. To find it, list the machines"),
        ({"system_id": "4y3h7n", "count": 9}, "`count`: input should be less than or equal to 3."),
        ({"system_id": "4y3h7n", "cuont": 1}, "`cuont` is not an argument of this tool; did you mean `count`?"),
        ({"system_id": "4y3h7n", "parts": [{"size": "big"}]}, "`parts.0.size`: input should be a valid integer"),
        ({"system_id": "4y3h7n", "_meta": {}}, "`_meta` is not an argument of this tool: send a progress token in"),
    ],
)
def test_an_invalid_argument_is_named_with_the_expected_value(given_: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentsError) as refusal:
        parse_arguments(Count(), given_)

    assert refusal.value.message.startswith("maas_count was not called. ")
    assert message in refusal.value.message
    assert refusal.value.hint == "Arguments: system_id (required), password, count, parts, plan, plan_id."


@pytest.mark.parametrize(
    ("given_", "field", "value"),
    [
        ({"from": "here"}, "from_", "here"),
        ({"number": 3.0}, "number", 3),
        ({"share": 1}, "share", 1.0),
        ({"pause": "PT90S"}, "pause", timedelta(seconds=90)),
        ({"names": ["a", "b"]}, "names", frozenset({"a", "b"})),
        ({"colour": 1}, "colour", Colour.RED),
        ({"policy": "abort"}, "policy", CancelPolicy.ABORT),
    ],
)
def test_arguments_are_accepted_in_the_form_of_the_schema(given_: dict[str, Any], field: str, value: object) -> None:
    jsonschema.validate(given_, mcp_tool(Sort()).input_schema)
    assert getattr(parse_arguments(Sort(), given_)[0], field) == value


@pytest.mark.parametrize(
    "given_",
    [
        {"number": True},
        {"number": 3.5},
        {"share": True},
        {"yes": "on"},
        {"yes": 1},
        {"names": "a"},
        {"from": 5},
        {"policy": True},
    ],
)
def test_no_value_is_converted_to_another_type(given_: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(given_, mcp_tool(Sort()).input_schema)
    with pytest.raises(InvalidArgumentsError, match="maas_sort was not called"):
        parse_arguments(Sort(), given_)


@pytest.mark.parametrize("wait", ["soon", True, float("nan"), "NaN"])
def test_a_wait_is_a_number(wait: object) -> None:
    with pytest.raises(InvalidArgumentsError, match="`wait_seconds`"):
        parse_arguments(Grow(), {"system_id": "4y3h7n", "wait_seconds": wait})


def test_an_error_is_short_for_any_arguments() -> None:
    for given_ in ({"x" * 1_000_000: 1}, {f"name{number}": 1 for number in range(20_000)}):
        with pytest.raises(InvalidArgumentsError) as refusal:
            parse_arguments(Grow(), {"system_id": "4y3h7n", **given_})
        assert len(refusal.value.message) < 2000

    assert refusal.value.message.endswith("And 19990 more problems.")


def test_an_error_never_repeats_a_value() -> None:
    with pytest.raises(InvalidArgumentsError) as refusal:
        parse_arguments(Count(), {"system_id": "S3CRET!", "password": ["S3CRET!"], "count": "S3CRET!"})

    assert "S3CRET!" not in f"{refusal.value} {refusal.value.hint}"
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None, "pydantic's error contains the values"


@pytest.mark.parametrize("token", ["abc", "5", 0, 17])
def test_a_progress_token_among_the_arguments_is_used(token: str | int) -> None:
    _, options = parse_arguments(Grow(), {"system_id": "4y3h7n", "_meta": {"progressToken": token, "other": 1}}, EARLY)

    assert options.token == token
    assert type(options.token) is type(token)


@pytest.mark.parametrize("meta", [{}, None, "", {"progressToken": None}, {"progressToken": ""}, "{}"])
def test_meta_without_a_progress_token_is_accepted(meta: object) -> None:
    assert parse_arguments(Grow(), {"system_id": "4y3h7n", "_meta": meta}, EARLY)[1].token is None


def test_a_progress_token_among_the_arguments_of_a_newer_client_is_refused_with_a_hint() -> None:
    given_ = {"system_id": "4y3h7n", "_meta": {"progressToken": "made-up"}}

    with pytest.raises(InvalidArgumentsError, match="send a progress token in the request's own `_meta`") as refusal:
        parse_arguments(Grow(), given_)

    assert "_meta" not in str(refusal.value.hint)
    assert "_meta" not in mcp_tool(Grow()).input_schema["properties"]
    assert "_meta" in mcp_tool(Grow(), EARLY).input_schema["properties"]


def test_call_options_are_not_passed_to_the_tool() -> None:
    given_ = {"system_id": "4y3h7n", "wait_seconds": 5, "on_cancel": "detach"}
    model, options = parse_arguments(Shrink(), given_)

    assert model == Args(system_id="4y3h7n")
    assert (options.wait_seconds, options.on_cancel) == (5.0, CancelPolicy.DETACH)


def test_a_misspelt_call_option_gets_a_suggestion() -> None:
    with pytest.raises(InvalidArgumentsError, match="did you mean `wait_seconds`") as refusal:
        parse_arguments(Shrink(), {"system_id": "4y3h7n", "wait_second": 5})

    assert refusal.value.hint == (
        "Arguments: system_id (required), password, count, parts, wait_seconds, on_cancel, plan, plan_id."
    )


def test_on_cancel_is_offered_only_if_maas_can_abort() -> None:
    with pytest.raises(InvalidArgumentsError, match="`on_cancel` is not an argument of this tool") as refusal:
        parse_arguments(Grow(), {"system_id": "4y3h7n", "on_cancel": "abort"})

    assert "on_cancel" not in str(refusal.value.hint)
    assert "on_cancel" in mcp_tool(Shrink()).input_schema["properties"]
    assert "on_cancel" not in mcp_tool(Grow()).input_schema["properties"]


@pytest.mark.parametrize("meta", [{"progressToken": True}, {"progressToken": 1.5}, {"progressToken": []}, "x", 3, []])
def test_a_progress_token_of_another_type_is_refused(meta: object) -> None:
    with pytest.raises(InvalidArgumentsError, match="`_meta"):
        parse_arguments(Grow(), {"system_id": "4y3h7n", "_meta": meta}, EARLY)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Forms.model_fields)) | st.text(), JSON_VALUES))
def test_any_json_is_either_accepted_or_refused_with_a_message(arguments: dict[str, Any]) -> None:
    refusal = None
    try:
        parse_arguments(Fill(), arguments)
    except InvalidArgumentsError as error:
        refusal = error

    assert refusal is None or refusal.message.startswith("maas_fill was not called. ")


def read(**arguments: Any) -> BaseModel:
    """Parse these arguments."""
    return parse_arguments(Fill(), arguments)[0]


def problem(**arguments: Any) -> str:
    with pytest.raises(InvalidArgumentsError) as refusal:
        parse_arguments(Fill(), arguments)
    return refusal.value.message.removeprefix("maas_fill was not called. ")


@pytest.mark.parametrize("nothing", [None, ""], ids=["null", "empty"])
@pytest.mark.parametrize("name", Forms.model_fields)
def test_an_optional_argument_without_a_value_is_left_out(name: str, nothing: object) -> None:
    assert read(**{name: nothing}) == Forms()


@given(st.sets(st.sampled_from(sorted(Forms.model_fields)), min_size=1), st.sampled_from([None, ""]))
def test_arguments_without_values_change_nothing(names: set[str], nothing: object) -> None:
    given_ = {"number": 5, "inner": {"size": 1}}

    assert read(**dict.fromkeys(names - given_.keys(), nothing), **given_) == read(**given_)


def test_a_nested_property_without_a_value_is_left_out() -> None:
    assert read(inner={"size": None}) == read(inner={"size": ""}) == Forms(inner=Inner())
    assert read(parts=[{"size": None}, {"size": 1}]) == Forms(parts=[Inner(), Inner(size=1)])
    assert read(shape={"kind": "square", "side": ""}) == Forms(shape=Square(kind="square"))
    assert read(shape={"kind": "circle", "radius": "2"}) == Forms(shape=Circle(kind="circle", radius=2))


@pytest.mark.parametrize("nothing", [None, ""], ids=["null", "empty"])
def test_a_call_option_without_a_value_is_left_out(nothing: object) -> None:
    options = {"wait_seconds": nothing, "on_cancel": nothing}

    assert parse_arguments(Shrink(), {"system_id": "4y3h7n", **options})[1] == CallOptions()


def test_a_required_argument_without_a_value_is_an_error_unless_null_is_allowed() -> None:
    everything = {"number": 1, "text": "", "names": ["a"], "perhaps": None}
    model, _ = parse_arguments(Need(), everything)

    assert model.model_dump() == everything
    for name in ("number", "text", "names"):
        with pytest.raises(InvalidArgumentsError, match=f"`{name}`: field required"):
            parse_arguments(Need(), {**everything, name: None})
    for name, nothing in (("names", [""]), ("names", [None]), ("number", ""), ("names", "")):
        with pytest.raises(InvalidArgumentsError, match=f"`{name}`: "):
            parse_arguments(Need(), {**everything, name: nothing})


@pytest.mark.parametrize(
    ("given_", "meant"),
    [
        ({"names": []}, {"names": []}),
        ({"names": "[]"}, {"names": []}),
        ({"names": [""]}, {}),
        ({"names": [None, ""]}, {}),
        ({"names": '[""]'}, {}),
        ({"names": ["", "a", None]}, {"names": ["a"]}),
        ({"names": [" "]}, {"names": [" "]}),
        ({"some": []}, {}),
        ({"some": [""]}, {}),
        ({"perhaps": [None, 1]}, {"perhaps": [None, 1]}),
        ({"anything": [None, ""]}, {"anything": [None, ""]}),
    ],
)
def test_items_without_a_value_are_left_out_and_an_empty_list_is_a_value(
    given_: dict[str, Any], meant: dict[str, Any]
) -> None:
    assert read(**given_) == Forms.model_validate(meant)


@pytest.mark.parametrize(
    ("given_", "meant"),
    [
        ({"number": "5"}, {"number": 5}),
        ({"number": " 5 "}, {"number": 5}),
        ({"number": "5.0"}, {"number": 5}),
        ({"share": "5"}, {"share": 5.0}),
        ({"share": "0.5"}, {"share": 0.5}),
        ({"flag": "true"}, {"flag": True}),
        ({"flag": "false"}, {"flag": False}),
        ({"flag": "null"}, {}),
        ({"level": "1"}, {"level": Colour.RED}),
        ({"names": '["ready"]'}, {"names": ["ready"]}),
        ({"some": '["1", 2]'}, {"some": [1, 2]}),
        ({"some": ["1", "2"]}, {"some": [1, 2]}),
        ({"inner": '{"size": "3"}'}, {"inner": {"size": 3}}),
        ({"parts": ['{"size": 3}']}, {"parts": [{"size": 3}]}),
        ({"sizes": '{"a": "1"}'}, {"sizes": {"a": 1}}),
        ({"sizes": [{"name": "a", "value": 1}, {"name": "b", "value": "2"}]}, {"sizes": {"a": 1, "b": 2}}),
        ({"sizes": '[{"name": "a", "value": 1}]'}, {"sizes": {"a": 1}}),
        ({"sizes": []}, {"sizes": {}}),
        ({"either": "5"}, {"either": "5"}),
        ({"either": 5}, {"either": 5}),
        ({"text": "5"}, {"text": "5"}),
        ({"text": "true"}, {"text": "true"}),
        ({"text": '["a"]'}, {"text": '["a"]'}),
        ({"text": "null"}, {"text": "null"}),
        ({"names": ["5", "null"]}, {"names": ["5", "null"]}),
        ({"anything": "5"}, {"anything": "5"}),
        ({"pause": "PT90S"}, {"pause": timedelta(seconds=90)}),
        ({"pair": ["1", "2"]}, {"pair": (1, "2")}),
    ],
)
def test_a_json_string_is_parsed_if_the_schema_allows_no_string(given_: dict[str, Any], meant: dict[str, Any]) -> None:
    assert read(**given_) == Forms.model_validate(meant)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"number": True}, "`number`: input should be a valid integer"),
        ({"number": "true"}, "`number`: input should be a valid integer"),
        ({"number": "5.5"}, "`number`: input should be a valid integer"),
        ({"number": "1e999"}, "`number`: input should be a valid integer"),
        ({"number": "9" * 5000}, "`number`: input should be a valid integer"),
        ({"share": "NaN"}, "`share`: input should be a valid number"),
        ({"flag": "on"}, "`flag`: input should be a valid boolean"),
        ({"flag": "True"}, "`flag`: input should be a valid boolean"),
        ({"flag": 1}, "`flag`: input should be a valid boolean"),
        ({"flag": "1"}, "`flag`: input should be a valid boolean"),
        ({"names": "a"}, "`names`: expected an array, such as"),
        ({"names": '"a"'}, "`names`: expected an array, such as"),
        ({"names": "[" * 100_000}, "`names`: expected an array, such as"),
        ({"text": 5}, "`text`: input should be a valid string"),
        ({"text": ["a"]}, "`text`: input should be a valid string"),
        ({"sizes": ["a"]}, "`sizes`: expected an array of objects, each with a `name`, which is a string, and a `"),
        ({"sizes": [{"name": "a"}]}, "`sizes`: expected an array of objects"),
        ({"sizes": [{"name": 1, "value": 1}]}, "`sizes`: expected an array of objects"),
        ({"sizes": [{"name": "a", "value": 1}] * 2}, "`sizes`: expected each `name` only once."),
        ({"sizes": {"a": None}}, "`sizes.a`: input should be a valid integer"),
    ],
)
def test_other_forms_are_refused(given_: dict[str, Any], message: str) -> None:
    assert problem(**given_).startswith(message)


@given(JSON_VALUES | st.sampled_from(["false", "0", "no", "off", "true", " true ", "True", "on", "1", "yes"]))
def test_a_boolean_is_true_only_for_json_true(value: Any) -> None:
    try:
        on = bool(read(flag=value).flag)  # type: ignore[attr-defined] # it is Forms
    except InvalidArgumentsError:
        on = False

    assert on == (value is True or (isinstance(value, str) and value.strip() == "true"))


MEANT = st.fixed_dictionaries(
    {},
    optional={
        "flag": st.booleans(),
        "number": st.integers(-(2**60), 2**60),
        "share": st.floats(allow_nan=False, allow_infinity=False),
        "text": st.text(st.characters(codec="utf-8"), min_size=1),
        "names": st.lists(st.text(st.characters(codec="utf-8"), min_size=1)),
        "some": st.lists(st.integers(0, 9), min_size=1),
        "sizes": st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(0, 9)),
        "inner": st.fixed_dictionaries({}, optional={"size": st.integers(0, 9)}),
    },
)


@given(MEANT)
def test_arguments_mean_the_same_as_json_text(meant: dict[str, Any]) -> None:
    as_text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in meant.items()}

    assert read(**as_text) == read(**meant) == Forms.model_validate(meant)


@given(MEANT)
def test_the_published_form_of_a_mapping_means_the_same_and_fits_the_schema(meant: dict[str, Any]) -> None:
    entries = [{"name": name, "value": value} for name, value in meant.get("sizes", {}).items()]
    published = {**meant, "sizes": entries}

    jsonschema.validate(published, mcp_tool(Fill()).input_schema)
    assert read(**published) == read(**meant)


class Shelf(BaseModel):
    region: str


class FindShelf(Tool[Shelf, Shelf]):
    """Find a shelf."""

    name = "acme_find_shelf"
    read_only = True

    async def run(self, ctx: ToolContext, args: Shelf) -> Shelf:  # noqa: ARG002 - it is not run
        return args


def test_a_tool_keeps_its_own_argument_region() -> None:
    regions = ("lab", "prod")

    arguments, options = parse_arguments(FindShelf(), {"region": "upper left"}, ClientFeatures(), regions)

    assert arguments.model_dump() == {"region": "upper left"}
    assert options.region is None
    published = published_arguments(FindShelf(), ClientFeatures(), regions)
    assert "enum" not in published["properties"]["region"]
