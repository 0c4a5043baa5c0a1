"""From a plugin's declaration to an MCP tool and back: arguments in, results and errors out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Final, TypeVar

import mcp_types as types
from pydantic import BaseModel, Field, ValidationError, WithJsonSchema, field_validator
from pydantic_core import ErrorDetails, PydanticSerializationError, to_json

from maas_mcp.errors import InvalidArgumentsError, MaasBadRequestError, MaasMcpError
from maas_mcp.maas.text import whole
from maas_mcp.operations.handles import Sealer
from maas_mcp.operations.operation import CancelPolicy, LongRunning
from maas_mcp.operations.outcome import Outcome
from maas_mcp.operations.tool import Tool
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.plugins.schemas import Schema, input_schema, output_schema
from maas_mcp.plugins.validation import CALL_OPTIONS
from maas_mcp.server.reports import StartReport, report, text_of

ProgressToken = str | int


class Meta(BaseModel):
    """``_meta`` among the arguments, as clients written for the early drafts of MCP send it."""

    progressToken: Annotated[  # noqa: N815 - MCP's name
        ProgressToken | None, WithJsonSchema({"type": ["string", "integer"]})
    ] = None

    @field_validator("progressToken", mode="before")
    @classmethod
    def _no_number_of_another_kind(cls, value: Any) -> Any:
        if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
            raise ValueError("expected a string or an integer")
        return value


class CallOptions(BaseModel):
    """What every long-running tool takes beside its own arguments; :data:`CALL_OPTIONS` are their names."""

    wait_seconds: float | None = Field(
        default=None,
        ge=0,
        le=86_400,
        description="Follow it for so long at most, then answer with its operation_id; 0 only starts it.",
    )
    on_cancel: CancelPolicy | None = Field(
        default=None, description="If this call is cancelled: `detach` leaves MAAS at work, `abort` has it abort."
    )
    meta: Meta | None = Field(
        default=None, alias="_meta", description="For clients that cannot set the request's own _meta."
    )

    @property
    def token(self) -> ProgressToken | None:
        """The progress token, if there is one among the arguments."""
        return self.meta.progressToken if self.meta else None


MOST_PROBLEMS: Final = 10
"""How many problems with its arguments a call is told."""
NAME_LENGTH: Final = 64
PROBLEM_LENGTH: Final = 300
TEXT_LENGTH: Final = 20_000
"""Characters of an error's text: whatever MAAS and plugins say, it goes into a model's context window."""

ModelT = TypeVar("ModelT", bound=BaseModel)

ERROR_META: Final = "io.github.maas-mcp/error"
"""Where a failed call's ``_meta`` has the error for programs: code, message, hint, retryable, maas_says, and
fields where MAAS named some."""


def mcp_tool(tool: AnyTool) -> types.Tool:
    """The tool as ``tools/list`` shows it."""
    return types.Tool(
        name=tool.name,
        title=tool.title or tool.name.removeprefix("maas_").replace("_", " ").capitalize(),
        description=tool.description(),
        input_schema=_input_schema(tool),
        output_schema=_output_schema(tool),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=False,
        ),
    )


def _input_schema(tool: AnyTool) -> Schema:
    schema = input_schema(tool.arguments)
    if not isinstance(tool, LongRunning):
        return schema
    options = {name: input_schema(CallOptions)["properties"][name] for name in _option_names(tool)}
    return {**schema, "properties": {**schema["properties"], **options}}


def _output_schema(tool: AnyTool) -> Schema:
    schema = output_schema(tool.returns)
    if not isinstance(tool, LongRunning):
        return schema
    told = output_schema(StartReport)
    properties = {name: shown for name, shown in told["properties"].items() if name != "error"}
    result = {**properties["result"], "anyOf": [schema, {"type": "null"}]}
    result.pop("type")
    required = [name for name in told["required"] if name in properties]
    return {**told, "properties": {**properties, "result": result}, "required": required}


def parse_arguments(tool: AnyTool, given: Mapping[str, Any] | None) -> tuple[BaseModel, CallOptions]:
    """The validated arguments, and what was said of the call itself.

    They are what JSON says, and nothing is made into something else: ``"on"`` is no boolean, ``true`` is no number.

    Raises:
        InvalidArgumentsError: Each argument that does not fit is named, with what is allowed; never with its value.
    """
    arguments, options = dict(given or {}), _option_names(tool)
    known = input_schema(tool.arguments)["properties"]
    unknown = [name for name in arguments if name not in known and name not in options]
    problems = [_unknown(name, [*known, *options]) for name in unknown[:MOST_PROBLEMS]]
    model = _validated(tool.arguments, arguments.keys() & known.keys(), arguments, problems)
    call = _validated(CallOptions, arguments.keys() & options, arguments, problems)
    if problems or model is None or call is None:
        left_out = len(problems) + len(unknown[MOST_PROBLEMS:]) - MOST_PROBLEMS
        more = f" And {left_out} more." if left_out > 0 else ""
        raise InvalidArgumentsError(
            f"{tool.name} was not called. {' '.join(problems[:MOST_PROBLEMS])}{more}",
            hint=f"Arguments: {_signature(tool)}.",
        )
    return model, call


def _option_names(tool: AnyTool) -> tuple[str, ...]:
    """What may be said of the call itself."""
    if not isinstance(tool, LongRunning):
        return ()
    return CALL_OPTIONS if tool.can_abort else tuple(name for name in CALL_OPTIONS if name != "on_cancel")


def _validated(
    model: type[ModelT], names: Iterable[str], given: Mapping[str, Any], problems: list[str]
) -> ModelT | None:
    values = {name: _with_integers(given[name]) for name in names}
    try:
        return model.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems += [_problem(detail) for detail in details]
    return None


def _with_integers(value: Any) -> Any:
    """The value with integers for the numbers that are whole: JSON has one kind of numbers, so 3.0 is an integer."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _with_integers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    return value


def is_long_running(tool: AnyTool) -> bool:
    """Whether the tool takes :class:`CallOptions` and answers with a report."""
    return isinstance(tool, LongRunning)


def _unknown(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name[:NAME_LENGTH], known, n=1)
    return f"`{_cut(name)}` is not an argument of this tool{f'; did you mean `{close[0]}`?' if close else '.'}"


def _problem(detail: ErrorDetails) -> str:
    """One problem in words. Without its input, which may be a secret or a megabyte."""
    where = ".".join(_cut(str(part)) for part in detail["loc"]) or "the arguments"
    message = detail["msg"].removeprefix("Value error, ")
    return f"`{where}`: {_cut(message[:1].lower() + message[1:], PROBLEM_LENGTH)}."


def _cut(text: str, length: int = NAME_LENGTH) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _signature(tool: AnyTool) -> str:
    schema = input_schema(tool.arguments)
    required = schema.get("required", ())
    own = [f"{name} (required)" if name in required else name for name in schema["properties"]]
    return ", ".join([*own, *(name for name in _option_names(tool) if name != "_meta")]) or "none"


def success(tool: Tool[Any, Any], result: BaseModel) -> types.CallToolResult:
    """A result: structured for programs, and a short text for people."""
    return types.CallToolResult(
        content=[types.TextContent(text=tool.summary(result))],
        structured_content=result.model_dump(mode="json", by_alias=True),
    )


def outcome_of(
    operation: LongRunning[Any, Any], outcome: Outcome[Any], sealer: Sealer, warnings: Sequence[str] = ()
) -> types.CallToolResult:
    """The report of an operation that has succeeded or goes on, with what is to be said of the call's arguments."""
    told = StartReport(**dict(report(outcome, sealer)), warnings=list(warnings))
    return types.CallToolResult(
        content=[types.TextContent(text=text_of(operation, outcome, told.operation_id, warnings))],
        structured_content=told.model_dump(mode="json", exclude={"error"}),
    )


def failure(error: MaasMcpError) -> types.CallToolResult:
    """A tool error that a model can act on.

    There is no structured content, since that would have to fit the output schema: the error stands in ``_meta``.
    """
    lines = [error.message]
    if isinstance(error, MaasBadRequestError):
        lines += [f"{name}: {message}" for name, messages in error.fields.items() for message in messages]
    elif error.maas_says and error.maas_says not in error.message:
        lines.append(f"MAAS says: {error.maas_says}")
    if error.hint:
        lines.append(error.hint)
    details: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "retryable": error.retryable,
        "maas_says": error.maas_says,
    }
    if isinstance(error, MaasBadRequestError):
        details["fields"] = error.fields
    return types.CallToolResult(
        content=[types.TextContent(text=_cut("\n".join(lines), TEXT_LENGTH))],
        is_error=True,
        _meta={ERROR_META: details},
    )


def sendable(result: types.CallToolResult) -> types.CallToolResult:
    """The result as it can go out: of one that holds half a character, the SDK could not send anything."""
    texts = [each.text for each in result.content if isinstance(each, types.TextContent)]
    try:
        to_json((texts, result.structured_content, result.meta))
    except PydanticSerializationError:
        return types.CallToolResult.model_validate(whole(result.model_dump()))
    return result
