"""Arguments in, results and errors out."""

import json
from datetime import timedelta
from enum import IntEnum
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from maas_mcp.api import Lifecycle, MachineStatus, Operation, OperationContext, SystemId, Tool, ToolContext
from maas_mcp.errors import InvalidArgumentsError, MaasBadRequestError, MaasConflictError
from maas_mcp.operations.operation import CancelPolicy
from maas_mcp.plugins.registry import load_registry
from maas_mcp.server.app import served_tools
from maas_mcp.server.tools import ERROR_META, CallOptions, failure, mcp_tool, parse_arguments, success
from tests.own_plugins import OWN_PLUGINS


class Inner(BaseModel):
    """A part."""

    size: int | None = None


class Args(BaseModel):
    """Arguments of every kind."""

    system_id: SystemId
    password: SecretStr | None = None
    count: int = Field(default=1, ge=1, le=3, description="How many.")
    parts: list[Inner] = []


class Result(BaseModel):
    """A result."""

    system_id: SystemId
    note: str | None
    parts: list[Inner] = []


class Count(Tool[Args, Result]):
    """Count."""

    name = "maas_count"

    async def run(self, _ctx: ToolContext, args: Args) -> Result:
        return Result(system_id=args.system_id, note=None)


class Grow(Operation[Args, Result]):
    """Grow."""

    name = "maas_grow"
    lifecycle = Lifecycle(
        start_from={MachineStatus.READY}, pending={MachineStatus.TESTING}, success={MachineStatus.READY}
    )

    async def start(self, _ctx: OperationContext, _args: Args) -> None:
        """Never called here."""

    async def result(self, _ctx: OperationContext, args: Args) -> Result:
        return Result(system_id=args.system_id, note=None)


class Shrink(Grow):
    """Shrink."""

    name = "maas_shrink"

    async def abort(self, _ctx: OperationContext, _args: Args) -> None:
        """Never called here."""


class Colour(IntEnum):
    """A number with a name."""

    RED = 1


class Kinds(BaseModel):
    """A field of each kind that is easily taken for another."""

    from_: str = Field("", alias="from")
    number: int = 0
    share: float = 0.0
    yes: bool = False
    pause: timedelta = timedelta(0)
    names: frozenset[str] = frozenset()
    colour: Colour = Colour.RED
    policy: CancelPolicy = CancelPolicy.DETACH


class Aliased(BaseModel):
    """A result whose field has another name for clients."""

    to_: str = Field(serialization_alias="to")


class Sort(Tool[Kinds, Aliased]):
    """Sort."""

    name = "maas_sort"

    async def run(self, _ctx: ToolContext, args: Kinds) -> Aliased:
        return Aliased(to_=args.from_)


SERVED = served_tools(load_registry(allow=OWN_PLUGINS, strict=True))


@pytest.mark.parametrize("name", SERVED)
def test_the_public_schema_of_a_tool_changes_by_decision_only(name: str, snapshot: SnapshotAssertion) -> None:
    tool = mcp_tool(SERVED[name])

    shown = tool.model_dump(by_alias=True, mode="json", exclude_none=True)
    assert shown == snapshot(name=name, extension_class=JSONSnapshotExtension)


@pytest.mark.parametrize("tool", SERVED.values(), ids=SERVED)
def test_every_schema_is_valid_flat_and_without_titles(tool: Any) -> None:
    shown = mcp_tool(tool)

    for schema in (shown.input_schema, shown.output_schema):
        assert schema is not None
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        text = json.dumps(schema)
        assert "$ref" not in text
        assert "$defs" not in text
        assert '"title"' not in text


def test_a_nested_model_is_filled_in() -> None:
    shown = mcp_tool(Count())

    assert shown.input_schema["properties"]["parts"]["items"]["properties"]["size"] == {"type": "integer"}
    assert shown.output_schema
    part = shown.output_schema["properties"]["parts"]["items"]["properties"]["size"]
    assert part == {"type": ["integer", "null"]}


def test_arguments_become_the_model() -> None:
    model, options = parse_arguments(Count(), {"system_id": "4y3h7n", "count": 2})

    assert model == Args(system_id="4y3h7n", count=2)
    assert options == CallOptions()


def test_none_at_all_are_arguments_too() -> None:
    with pytest.raises(InvalidArgumentsError, match="`system_id`: field required"):
        parse_arguments(Count(), None)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"system_id": "../../users"}, "`system_id`: a system id is MAAS's short name for a machine, such as 4y3h7n"),
        ({"system_id": "node07.maas"}, "not its hostname; list the machines to find it."),
        ({"system_id": "4y3h7n", "count": 9}, "`count`: input should be less than or equal to 3."),
        ({"system_id": "4y3h7n", "cuont": 1}, "`cuont` is not an argument of this tool; did you mean `count`?"),
        ({"system_id": "4y3h7n", "parts": [{"size": "big"}]}, "`parts.0.size`: input should be a valid integer"),
        ({"system_id": "4y3h7n", "_meta": {}}, "`_meta` is not an argument of this tool."),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgumentsError) as refusal:
        parse_arguments(Count(), given_)

    assert refusal.value.message.startswith("maas_count was not called. ")
    assert said in refusal.value.message
    assert refusal.value.hint == "Arguments: system_id (required), password, count, parts."


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
def test_arguments_are_taken_as_the_schema_says(given_: dict[str, Any], field: str, value: object) -> None:
    jsonschema.validate(given_, mcp_tool(Sort()).input_schema)
    assert getattr(parse_arguments(Sort(), given_)[0], field) == value


@pytest.mark.parametrize(
    "given_",
    [
        {"number": True},
        {"number": "3"},
        {"number": 3.5},
        {"share": "0"},
        {"share": True},
        {"yes": "on"},
        {"yes": 1},
        {"names": "a"},
        {"from": 5},
        {"policy": True},
        {"from_": "here"},
    ],
)
def test_nothing_is_made_into_something_else(given_: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(given_, mcp_tool(Sort()).input_schema)
    with pytest.raises(InvalidArgumentsError, match="maas_sort was not called"):
        parse_arguments(Sort(), given_)


@pytest.mark.parametrize("wait", ["0", True, float("nan")])
def test_a_wait_is_a_number(wait: object) -> None:
    with pytest.raises(InvalidArgumentsError, match="`wait_seconds`"):
        parse_arguments(Grow(), {"system_id": "4y3h7n", "wait_seconds": wait})


def test_a_result_has_the_names_that_its_schema_promises() -> None:
    result = success(Sort(), Aliased(to_="there"))

    assert result.structured_content == {"to": "there"}
    jsonschema.validate(result.structured_content, mcp_tool(Sort()).output_schema or {})


def test_an_error_stays_short_whatever_was_given() -> None:
    for given_ in ({"x" * 1_000_000: 1}, {f"name{number}": 1 for number in range(20_000)}):
        with pytest.raises(InvalidArgumentsError) as refusal:
            parse_arguments(Grow(), {"system_id": "4y3h7n", **given_})
        assert len(refusal.value.message) < 2000

    assert refusal.value.message.endswith("And 19990 more.")


def test_what_was_given_is_never_repeated() -> None:
    with pytest.raises(InvalidArgumentsError) as refusal:
        parse_arguments(Count(), {"system_id": "S3CRET!", "password": ["S3CRET!"], "count": "S3CRET!"})

    assert "S3CRET!" not in f"{refusal.value} {refusal.value.hint}"
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None, "pydantic's error holds what was given"


@pytest.mark.parametrize("token", ["abc", 0, 17, ""])
def test_a_token_among_the_arguments_of_a_long_running_tool_is_found(token: str | int) -> None:
    _, options = parse_arguments(Grow(), {"system_id": "4y3h7n", "_meta": {"progressToken": token, "other": 1}})

    assert options.token == token
    assert type(options.token) is type(token)


@pytest.mark.parametrize("meta", [{}, None, {"progressToken": None}])
def test_a_meta_without_a_token_is_fine(meta: object) -> None:
    assert parse_arguments(Grow(), {"system_id": "4y3h7n", "_meta": meta})[1].token is None


def test_what_is_said_of_the_call_itself_is_no_argument_of_the_tool() -> None:
    given_ = {"system_id": "4y3h7n", "wait_seconds": 5, "on_cancel": "detach"}
    model, options = parse_arguments(Shrink(), given_)

    assert model == Args(system_id="4y3h7n")
    assert (options.wait_seconds, options.on_cancel) == (5.0, CancelPolicy.DETACH)


def test_what_is_said_of_the_call_itself_may_be_misspelt_as_well() -> None:
    with pytest.raises(InvalidArgumentsError, match="did you mean `wait_seconds`") as refusal:
        parse_arguments(Shrink(), {"system_id": "4y3h7n", "wait_second": 5})

    assert refusal.value.hint == ("Arguments: system_id (required), password, count, parts, wait_seconds, on_cancel.")


def test_aborting_is_offered_only_where_maas_can() -> None:
    with pytest.raises(InvalidArgumentsError, match="`on_cancel` is not an argument of this tool") as refusal:
        parse_arguments(Grow(), {"system_id": "4y3h7n", "on_cancel": "abort"})

    assert "on_cancel" not in str(refusal.value.hint)
    assert "on_cancel" in mcp_tool(Shrink()).input_schema["properties"]
    assert "on_cancel" not in mcp_tool(Grow()).input_schema["properties"]


@pytest.mark.parametrize("meta", [{"progressToken": True}, {"progressToken": 1.5}, {"progressToken": []}, "x", 3, []])
def test_a_token_of_another_kind_is_refused(meta: object) -> None:
    with pytest.raises(InvalidArgumentsError, match=r"`_meta|maas_grow was not called"):
        parse_arguments(Grow(), {"system_id": "4y3h7n", "_meta": meta})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["system_id", "count", "password", "parts", "_meta"]) | st.text(), JSON_VALUES))
def test_any_json_is_either_accepted_or_refused_with_a_message(arguments: dict[str, Any]) -> None:
    refusal = None
    try:
        parse_arguments(Grow(), arguments)
    except InvalidArgumentsError as error:
        refusal = error

    assert refusal is None or refusal.message.startswith("maas_grow was not called. ")


def test_a_result_is_structured_and_has_a_line_for_people() -> None:
    result = success(Count(), Result(system_id="4y3h7n", note=None))

    assert result.structured_content == {"system_id": "4y3h7n", "note": None, "parts": []}
    assert result.content[0].model_dump()["text"] == "system_id: 4y3h7n"


def test_an_error_says_what_was_wrong_in_mass_words_and_what_to_do() -> None:
    error = MaasConflictError("MAAS refused to deploy.", hint="Release it first.", maas_says="Can't deploy")
    result = failure(error)

    assert result.is_error
    assert result.structured_content is None, "it would have to fit the output schema"
    assert (
        result.content[0].model_dump()["text"] == "MAAS refused to deploy.\nMAAS says: Can't deploy\nRelease it first."
    )
    assert result.meta
    assert result.meta[ERROR_META] == {
        "code": "state_conflict",
        "message": "MAAS refused to deploy.",
        "hint": "Release it first.",
        "retryable": False,
        "maas_says": "Can't deploy",
    }


def test_a_bad_request_shows_each_field() -> None:
    result = failure(MaasBadRequestError("MAAS refused the parameters.", fields={"distro_series": ["no such series"]}))

    assert "distro_series: no such series" in result.content[0].model_dump()["text"]
