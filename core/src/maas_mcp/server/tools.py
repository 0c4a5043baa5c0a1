"""From a plugin's declaration to an MCP tool and back: arguments in, results and errors out."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

import mcp_types as types
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from maas_mcp.errors import InvalidArgumentsError, MaasBadRequestError, MaasMcpError
from maas_mcp.operations.operation import Operation
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.server.schemas import input_schema, output_schema

ProgressToken = str | int

ERROR_META: Final = "io.github.maas-mcp/error"
"""Where a failed call's ``_meta`` has the error for programs: code, message, hint, retryable, maas_says, and
fields where MAAS named some."""


def mcp_tool(tool: AnyTool) -> types.Tool:
    """The tool as ``tools/list`` shows it."""
    return types.Tool(
        name=tool.name,
        title=tool.title or tool.name.removeprefix("maas_").replace("_", " ").capitalize(),
        description=tool.description(),
        input_schema=input_schema(tool.arguments, long_running=isinstance(tool, Operation)),
        output_schema=output_schema(tool.returns),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=False,
        ),
    )


def parse_arguments(tool: AnyTool, given: Mapping[str, Any] | None) -> tuple[BaseModel, ProgressToken | None]:
    """The validated arguments, and the progress token that stood among them.

    Raises:
        InvalidArgumentsError: Each argument that does not fit is named, with what is allowed; never with its value.
    """
    arguments = dict(given or {})
    token = _token(arguments.pop("_meta", None)) if isinstance(tool, Operation) else None
    known = tool.arguments.model_fields
    problems = [_unknown(name, known) for name in arguments if name not in known]
    try:
        model = tool.arguments.model_validate({name: value for name, value in arguments.items() if name in known})
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems += [_problem(detail) for detail in details]
    if problems:
        raise InvalidArgumentsError(
            f"{tool.name} was not called. " + " ".join(problems),
            hint=f"Arguments: {_signature(tool)}.",
        ) from None
    return model, token


def _token(meta: Any) -> ProgressToken | None:
    if meta is None:
        return None
    token = meta.get("progressToken") if isinstance(meta, dict) else ...
    if token is not None and (isinstance(token, bool) or not isinstance(token, str | int)):
        raise InvalidArgumentsError(
            "_meta: expected an object with a progressToken that is a string or an integer.",
            hint='Send {"_meta": {"progressToken": "…"}}, or leave it out.',
        )
    return token


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"`{name[:40]}` is not an argument of this tool{f'; did you mean `{close[0]}`?' if close else '.'}"


def _problem(detail: ErrorDetails) -> str:
    """One problem in words. Without its input, which may be a secret or a megabyte."""
    where = ".".join(str(part) for part in detail["loc"]) or "the arguments"
    message = detail["msg"].removeprefix("Value error, ")
    return f"`{where}`: {message[:1].lower()}{message[1:]}."


def _signature(tool: AnyTool) -> str:
    fields = tool.arguments.model_fields.items()
    return ", ".join(f"{name}{' (required)' if field.is_required() else ''}" for name, field in fields) or "none"


def success(tool: AnyTool, result: BaseModel) -> types.CallToolResult:
    """A result: structured for programs, and a short text for people."""
    return types.CallToolResult(
        content=[types.TextContent(text=tool.summary(result))],
        structured_content=result.model_dump(mode="json"),
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
        content=[types.TextContent(text="\n".join(lines))],
        is_error=True,
        _meta={ERROR_META: details},
    )
