"""Arguments of a tool call: their published schema, and their validation."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import ErrorDetails

from maas_mcp.calls.client_values import read_properties
from maas_mcp.errors import InvalidArgumentsError
from maas_mcp.machine_text import cut
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning
from maas_mcp.plugins.portability import Schema
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.plugins.schemas import exact_schema, input_schema
from maas_mcp.plugins.validation import OPERATION_ID, REGION_OPTION, added_options, one_of

ProgressToken = str | int

MAX_PROBLEMS: Final = 10
"""Maximum problems that one error message reports."""
NAME_LENGTH: Final = 64
PROBLEM_LENGTH: Final = 500
"""Maximum characters of one problem. The names of a tool's fields or kinds fit into it."""

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ClientFeatures:
    """The features of a call's client. Clients with the same features are equal."""

    meta_argument: bool = False
    """Whether ``_meta`` is an argument. It is hidden from other clients: their models would invent a token, and some
    clients drop the connection on a notification with an unknown token."""
    name: str = field(default="", compare=False)
    """The name that the client gives itself. It is not verified."""


class Meta(BaseModel, defer_build=True):
    """``_meta`` among the arguments."""

    progressToken: ProgressToken | None = None  # noqa: N815 - MCP's name


class CallOptions(BaseModel, defer_build=True):
    """The arguments that the host adds to a tool's own."""

    # The bounds are not published: each operation would repeat them, and no model has reason to exceed them.
    wait_seconds: Annotated[float, Field(ge=0, le=86_400), WithJsonSchema({"type": "number"})] | None = Field(
        default=None, description="Then return an operation_id; 0: at once."
    )
    on_cancel: CancelPolicy | None = None
    # The server's instructions explain these two, because every changing tool has them.
    plan: bool | None = None
    plan_id: str | None = None
    meta: Meta | None = Field(
        default=None, alias="_meta", description="For clients that cannot set the request's own _meta."
    )

    region: str | None = Field(default=None)
    """The chosen region, for every tool. It is published only where there is a choice."""

    @model_validator(mode="after")
    def _check_plan(self) -> Self:
        if self.plan and self.plan_id is not None:
            raise ValueError("pass either `plan` to make a plan, or `plan_id` to apply one")
        return self

    @property
    def token(self) -> ProgressToken | None:
        """The progress token from the arguments, if any."""
        return self.meta.progressToken if self.meta else None


def published_arguments(tool: AnyTool, client: ClientFeatures, regions: Sequence[str] = ()) -> Schema:
    """The input schema of the tool.

    Args:
        tool: The tool.
        client: The client's features.
        regions: The regions from which calls choose, if there are several.
    """
    if tool.published_schema is not None:
        own = _published_region(regions) if takes_region(tool, regions) else {}
        schema = dict(tool.published_schema)
        return {**schema, "properties": {**schema["properties"], **own}} if own else schema
    return _published(tool.arguments, _option_names(tool, client, regions), tuple(regions))


@cache  # the views of several clients share them
def _published(arguments: type[BaseModel], option_names: tuple[str, ...], regions: tuple[str, ...]) -> Schema:
    schema, options = input_schema(arguments), input_schema(CallOptions)["properties"] | _published_region(regions)
    own = {name: options[name] for name in option_names}
    return {**schema, "properties": {**schema["properties"], **own}}


def takes_region(tool: AnyTool, regions: Sequence[str]) -> bool:
    """Whether calls of the tool choose a region.

    An operation's id belongs to one, so nothing is left to choose. A tool with an argument of this name uses the first.
    """
    return bool(regions) and not {OPERATION_ID, REGION_OPTION} & exact_schema(tool.arguments)["properties"].keys()


def _published_region(regions: Sequence[str]) -> dict[str, Schema]:
    default = f"MAAS region. Default: {regions[0]}." if regions else ""
    return {REGION_OPTION: {"type": "string", "enum": list(regions), "description": default}}


def parse_arguments(
    tool: AnyTool,
    given: Mapping[str, Any] | None,
    client: ClientFeatures = ClientFeatures(),
    regions: Sequence[str] = (),
) -> tuple[BaseModel, CallOptions]:
    """Validate the arguments, and split off the call options.

    :func:`~maas_mcp.calls.client_values.read_properties` documents the accepted forms. All other values are validated
    strictly: ``"on"`` is not a boolean, ``true`` is not a number.

    Args:
        tool: The called tool.
        given: The client's arguments.
        client: The client's features.
        regions: The regions from which the call chooses, if there are several.

    Raises:
        InvalidArgumentsError: An argument is invalid. The message names each one with the expected form, but never
            contains a value.
    """
    arguments, options = dict(given or {}), _option_names(tool, client, regions)
    known = exact_schema(tool.arguments)["properties"]
    unknown = [name for name in arguments if name not in known and name not in options]
    problems = [_explain_unknown(name, [*known, *options]) for name in unknown[:MAX_PROBLEMS]]
    model = _validated(tool.arguments, arguments.keys() & known.keys(), arguments, problems)
    call = _validated(CallOptions, arguments.keys() & options, arguments, problems)
    if call is not None and call.region is not None and call.region not in regions:
        problems.append(f"`{REGION_OPTION}`: expected {one_of(regions)}.")
    if problems or model is None or call is None:
        left_out = len(problems) + len(unknown[MAX_PROBLEMS:]) - MAX_PROBLEMS
        more = f" And {left_out} more problems." if left_out > 0 else ""
        raise InvalidArgumentsError(
            f"{tool.name} was not called. {' '.join(problems[:MAX_PROBLEMS])}{more}",
            hint=f"Arguments: {_argument_names(tool, options)}.",
        )
    return model, call


def _option_names(tool: AnyTool, client: ClientFeatures, regions: Sequence[str]) -> tuple[str, ...]:
    """The call options that this client may pass."""
    region = (REGION_OPTION,) if takes_region(tool, regions) else ()
    refused = set() if client.meta_argument else {"_meta"}
    if isinstance(tool, LongRunning) and not tool.can_abort:
        refused.add("on_cancel")
    return (*region, *(name for name in added_options(tool) if name not in refused))


def _validated(
    model: type[ModelT], names: Iterable[str], given: Mapping[str, Any], problems: list[str]
) -> ModelT | None:
    try:
        values = read_properties({name: given[name] for name in names}, exact_schema(model))
        return model.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems += [_describe_problem(detail) for detail in details]
    except ValueError as error:
        problems.append(cut(str(error), PROBLEM_LENGTH))
    except RecursionError:
        problems.append("The arguments are nested too deeply.")
    return None


def _explain_unknown(name: str, known: Iterable[str]) -> str:
    if name == "_meta":
        return "`_meta` is not an argument of this tool: send a progress token in the request's own `_meta`."
    close = get_close_matches(name[:NAME_LENGTH], known, n=1)
    shown = cut(name, NAME_LENGTH)
    return f"`{shown}` is not an argument of this tool{f'; did you mean `{close[0]}`?' if close else '.'}"


_CLEARER_MESSAGES: Final = {
    "list_type": 'expected an array, such as `["one", "two"]`, even for a single item',
    "dict_type": "expected an object",
    "model_type": "expected an object",
}
"""Clearer messages than pydantic's own, by pydantic's error type."""


def _describe_problem(detail: ErrorDetails) -> str:
    """One problem as a sentence, without the input, which may be secret or large."""
    where = ".".join(cut(str(part), NAME_LENGTH) for part in detail["loc"])
    message = _CLEARER_MESSAGES.get(detail["type"], detail["msg"]).removeprefix("Value error, ")
    shown = cut(message[:1].lower() + message[1:], PROBLEM_LENGTH)
    return f"`{where}`: {shown}." if where else f"The arguments are invalid: {shown}."


def _argument_names(tool: AnyTool, options: Iterable[str]) -> str:
    schema = exact_schema(tool.arguments)
    required = schema.get("required", ())
    own = [f"{name} (required)" if name in required else name for name in schema["properties"]]
    return ", ".join([*own, *(name for name in options if name != "_meta")]) or "none"
