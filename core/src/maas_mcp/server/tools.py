"""From a plugin's declaration to an MCP tool, and its results and errors out."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import mcp_types as types
from pydantic_core import PydanticSerializationError, to_json

from maas_mcp.calls.arguments import ClientFeatures, published_arguments
from maas_mcp.calls.call import CallResult
from maas_mcp.calls.reports import StartReport, cut, text_of
from maas_mcp.errors import MaasBadRequestError, MaasMcpError, NextStep, ResultTooLargeError
from maas_mcp.maas.text import replace_surrogates
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.running.results import summary_of
from maas_mcp.plugins.portability import Schema
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.plugins.schemas import output_schema

TEXT_LENGTH: Final = 20_000
"""Characters of an error's text: whatever MAAS and plugins say, it goes into a model's context window."""
RESULT_LIMIT: Final = 10_000_000
"""Bytes of a result as JSON: structured content, text and ``_meta`` together. Clients cut, refuse or choke on more."""
ERROR_META: Final = "io.github.maas-mcp/error"
"""Where a failed call's ``_meta`` has the error for programs: code, message, hint, next_steps, retryable,
maas_says, and fields where MAAS named some."""


def mcp_tool(tool: AnyTool, client: ClientFeatures = ClientFeatures()) -> types.Tool:  # noqa: B008 - it is frozen
    """The tool as ``tools/list`` shows it to such clients."""
    return types.Tool(
        name=tool.name,
        title=tool.title or tool.name.removeprefix("maas_").replace("_", " ").capitalize(),
        description=tool.description(),
        input_schema=published_arguments(tool, client),
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


def shown(tool: AnyTool, answer: CallResult) -> types.CallToolResult:
    """An answer: structured for programs, and a short text for people."""
    if isinstance(tool, LongRunning):
        return _shown_operation(tool, answer)
    text = summary_of(tool, answer.result)
    return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=answer.content)


def _shown_operation(operation: LongRunning[Any, Any], answer: CallResult) -> types.CallToolResult:
    """The report of an operation that has succeeded or goes on."""
    status = answer.status
    if status is None:
        raise TypeError(f"{operation.name} was answered without a status")
    report = StartReport(
        operation_id=answer.operation_id,
        state=status.state,
        progress=status.fraction,
        message=status.message,
        result=answer.content,
        warnings=list(answer.warnings),
    )
    return types.CallToolResult(
        content=[types.TextContent(text=text_of(operation, status, answer.operation_id, answer.warnings))],
        structured_content=report.model_dump(mode="json", exclude={"error"}),
    )


def failure(error: MaasMcpError, next_steps: Sequence[NextStep] = ()) -> types.CallToolResult:
    """A tool error that a model can act on.

    There is no structured content, since that would have to fit the output schema: the error stands in ``_meta``.

    Args:
        error: What went wrong.
        next_steps: Those of the error's steps whose tools are served.
    """
    lines = [error.message, *_words_of_maas(error)]
    if error.hint:
        lines.append(error.hint)
    lines += [step.sentence for step in next_steps]
    details: dict[str, Any] = {
        "code": error.code,
        "message": cut(error.message, TEXT_LENGTH),
        "hint": error.hint and cut(error.hint, TEXT_LENGTH),
        "next_steps": [asdict(step) for step in next_steps],
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
        return sendable(name, types.CallToolResult.model_validate(replace_surrogates(result.model_dump())))
    if size > RESULT_LIMIT:
        raise ResultTooLargeError(name, size, RESULT_LIMIT)
    return result
