"""From a plugin's declaration to an MCP tool, and its results and errors out."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import mcp_types as types
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from maas_mcp.errors import MaasBadRequestError, MaasMcpError, ResultTooLargeError
from maas_mcp.maas.text import whole
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.tool import Tool
from maas_mcp.operations.handles import Sealer
from maas_mcp.operations.running.results import structured, summary_of
from maas_mcp.operations.running.status import OperationStatus
from maas_mcp.plugins.portability import Schema
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.plugins.schemas import output_schema
from maas_mcp.server.arguments import published_arguments
from maas_mcp.server.reports import StartReport, cut, report, text_of

TEXT_LENGTH: Final = 20_000
"""Characters of an error's text: whatever MAAS and plugins say, it goes into a model's context window."""
RESULT_LIMIT: Final = 10_000_000
"""Bytes of a result as JSON: structured content, text and ``_meta`` together. Clients cut, refuse or choke on more."""
ERROR_META: Final = "io.github.maas-mcp/error"
"""Where a failed call's ``_meta`` has the error for programs: code, message, hint, retryable, maas_says, and
fields where MAAS named some."""


def mcp_tool(tool: AnyTool, revision: str = types.LATEST_PROTOCOL_VERSION) -> types.Tool:
    """The tool as ``tools/list`` shows it to clients of a protocol revision."""
    return types.Tool(
        name=tool.name,
        title=tool.title or tool.name.removeprefix("maas_").replace("_", " ").capitalize(),
        description=tool.description(),
        input_schema=published_arguments(tool, revision),
        output_schema=_output_schema(tool),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=False,
        ),
    )


def _output_schema(tool: AnyTool) -> Schema:
    schema = output_schema(tool.returns)
    if not isinstance(tool, LongRunning):
        return schema
    told = output_schema(StartReport)
    properties = {name: shown for name, shown in told["properties"].items() if name != "error"}
    result = {**properties["result"], "anyOf": [schema, {"type": "null"}]}
    required = [name for name in told["required"] if name in properties]
    return {**told, "properties": {**properties, "result": result}, "required": required}


def success(tool: Tool[Any, Any], result: BaseModel) -> types.CallToolResult:
    """A result: structured for programs, and a short text for people.

    Raises:
        PluginError: It is not what the tool declares.
    """
    content = structured(tool, result)
    return types.CallToolResult(content=[types.TextContent(text=summary_of(tool, result))], structured_content=content)


def outcome_of(
    operation: LongRunning[Any, Any], outcome: OperationStatus[Any], sealer: Sealer, warnings: Sequence[str] = ()
) -> types.CallToolResult:
    """The report of an operation that has succeeded or goes on, with what is to be said of the call's arguments."""
    warnings = [*warnings, *outcome.warnings]
    told = StartReport(**dict(report(operation, outcome, sealer)), warnings=warnings)
    if outcome.problem is not None:
        outcome.problem.hint = f"{outcome.problem.hint} Its operation_id is {told.operation_id}."
        return failure(outcome.problem)
    return types.CallToolResult(
        content=[types.TextContent(text=text_of(operation, outcome, told.operation_id, warnings))],
        structured_content=told.model_dump(mode="json", exclude={"error"}),
    )


def failure(error: MaasMcpError) -> types.CallToolResult:
    """A tool error that a model can act on.

    There is no structured content, since that would have to fit the output schema: the error stands in ``_meta``.
    """
    lines = [error.message, *_words_of_maas(error)]
    if error.hint:
        lines.append(error.hint)
    details: dict[str, Any] = {
        "code": error.code,
        "message": cut(error.message, TEXT_LENGTH),
        "hint": error.hint and cut(error.hint, TEXT_LENGTH),
        "retryable": error.retryable,
        "maas_says": error.maas_says and cut(error.maas_says, TEXT_LENGTH),
    }
    if isinstance(error, MaasBadRequestError):
        details["fields"] = {
            cut(name, TEXT_LENGTH): [cut(each, TEXT_LENGTH) for each in messages]
            for name, messages in error.fields.items()
        }
    return types.CallToolResult(
        content=[types.TextContent(text=cut("\n".join(lines), TEXT_LENGTH))],
        is_error=True,
        _meta={ERROR_META: details},
    )


def _words_of_maas(error: MaasMcpError) -> Iterator[str]:
    """What MAAS said, where the message does not hold it already."""
    if error.maas_says and error.maas_says in error.message:
        return
    fields = error.fields if isinstance(error, MaasBadRequestError) else {}
    for name, messages in fields.items():
        yield from (f"{name}: {message}" for message in messages if message not in error.message)
    if error.maas_says and not fields:
        yield f"MAAS says: {error.maas_says}"


def sendable(name: str, result: types.CallToolResult) -> types.CallToolResult:
    """The result of a tool as it can go out: of one that holds half a character, the SDK could not send anything.

    Raises:
        ResultTooLargeError: It has more than :data:`RESULT_LIMIT` bytes.
    """
    try:
        size = len(to_json(result, by_alias=True, exclude_none=True))
    except PydanticSerializationError:
        return sendable(name, types.CallToolResult.model_validate(whole(result.model_dump())))
    if size > RESULT_LIMIT:
        raise ResultTooLargeError(name, size, RESULT_LIMIT)
    return result
