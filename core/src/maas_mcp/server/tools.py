"""Converts tools to MCP tools, and their results and errors to MCP results."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, get_args

import mcp_types as types
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from maas_mcp.calls.arguments import ClientFeatures, published_arguments
from maas_mcp.calls.reports import StartReport, status_lines
from maas_mcp.errors import MaasBadRequestError, MaasMcpError, ResultTooLargeError
from maas_mcp.machine_text import cut, is_visible_json, make_json_visible
from maas_mcp.next_step import NextStep
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.running.results import content_of
from maas_mcp.operations.running.status import OperationState
from maas_mcp.operations.wording import maas_words
from maas_mcp.plugins.machine_fields import machine_fields
from maas_mcp.plugins.portability import Schema
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.plugins.result_schemas import nullable
from maas_mcp.plugins.schemas import result_schema
from maas_mcp.server.content import content_block

if TYPE_CHECKING:
    from maas_mcp.calls.call import CallResult

PUBLISHED_REPORT: Final[Schema] = {
    "operation_id": {"type": "string"},
    "state": {"type": "string", "enum": list(get_args(OperationState))},
}
"""The fields of a :class:`StartReport` that each operation publishes next to its ``result``. maas_get_operation
publishes the others."""
TEXT_LENGTH: Final = 20_000
"""Maximum characters of an error's text, which fills a model's context window."""
RESULT_LIMIT: Final = 10_000_000
"""Maximum bytes of a result as JSON: structured content, text and ``_meta``. Clients cut or reject more."""
ERROR_META: Final = "io.github.maas-mcp/error"
"""The key in a failed call's ``_meta`` for the error as data: code, message, hint, next_steps, retryable, maas_says,
and fields if MAAS named any."""

UNTRUSTED_META: Final = "io.github.maas-mcp/untrusted"
"""The key in a result's ``_meta`` for the fields that carry text from machines, as JSON pointers from the result. A
``*`` stands for each item or key."""
_UNTRUSTED_IN_ERROR: Final = tuple(
    f"/_meta/{ERROR_META.replace('/', '~1')}/{field}" for field in ("maas_says", "fields")
)


def mcp_tool(
    tool: AnyTool,
    client: ClientFeatures = ClientFeatures(),  # noqa: B008 - it is frozen
    regions: Sequence[str] = (),
) -> types.Tool:
    """The tool as ``tools/list`` shows it to a client with these features.

    Args:
        tool: The tool.
        client: The client's features.
        regions: The regions from which calls choose, if there are several.
    """
    return types.Tool(
        name=tool.name,
        title=tool.title or tool.name.removeprefix("maas_").replace("_", " ").capitalize(),
        description=tool.description(),
        input_schema=published_arguments(tool, client, regions),
        output_schema=_output_schema(tool),
        annotations=_annotations(tool),
    )


def _annotations(tool: AnyTool) -> types.ToolAnnotations:
    """The hints of the tool. Two of them mean nothing for a tool that only reads."""
    if tool.read_only:
        return types.ToolAnnotations(read_only_hint=True, open_world_hint=False)
    return types.ToolAnnotations(
        read_only_hint=False,
        destructive_hint=tool.destructive,
        idempotent_hint=tool.idempotent or None,  # false if left out
        open_world_hint=False,
    )


def _output_schema(tool: AnyTool) -> Schema:
    schema = result_schema(tool.returns)
    if not isinstance(tool, LongRunning):
        return schema
    # No field is required, because a call with `plan` returns none of them.
    return {"type": "object", "properties": {**PUBLISHED_REPORT, "result": nullable(schema)}}


def success(tool: AnyTool, answer: "CallResult") -> types.CallToolResult:
    """The MCP result of a call: structured content for programs, and a short text for people."""
    if answer.plan is not None:
        text = types.TextContent(text=answer.plan.text())
        return types.CallToolResult(
            content=[text],
            structured_content={"plan": answer.plan.model_dump(mode="json")},
            _meta=_untrusted(type(answer.plan), "/plan"),
        )
    if isinstance(tool, LongRunning):
        return _operation_success(tool, answer)
    content = [content_block(each) for each in content_of(tool, answer.result)]
    return types.CallToolResult(content=content, structured_content=answer.content, _meta=_untrusted(tool.returns))


def _operation_success(operation: LongRunning[Any, Any], answer: "CallResult") -> types.CallToolResult:
    """The report of an operation that has succeeded or is running."""
    status = answer.status
    if status is None:
        raise TypeError(f"{operation.name} returned no status")
    report = StartReport(
        operation_id=answer.operation_id,
        state=status.state,
        progress=status.fraction,
        message=status.message,
        result=answer.content,
        warnings=list(answer.warnings),
    )
    return types.CallToolResult(
        content=[types.TextContent(text=status_lines(operation, status, answer.operation_id, answer.warnings))],
        structured_content=report.model_dump(mode="json"),
        _meta=_untrusted(operation.returns, "/result"),
    )


def _untrusted(model: type[BaseModel], below: str = "") -> dict[str, Any] | None:
    """The ``_meta`` of a result that may carry text from machines, ``below`` its structured content."""
    pointers = [f"/structuredContent{below}{each}" for each in machine_fields(model)]
    return {UNTRUSTED_META: pointers} if pointers else None


def failure(error: MaasMcpError, next_steps: Sequence[NextStep] = ()) -> types.CallToolResult:
    """The MCP result of a failed call.

    Structured content would have to fit the output schema, so the error as data is in ``_meta``.

    Args:
        error: The error.
        next_steps: The error's next steps, resolved to served tools.
    """
    lines = [error.message, maas_words(error), error.hint, *(step.sentence for step in next_steps)]
    text = "\n".join(cut(line, TEXT_LENGTH) for line in lines if line)
    return types.CallToolResult(
        content=[types.TextContent(text=cut(text, TEXT_LENGTH))],
        is_error=True,
        _meta={ERROR_META: error_details(error, next_steps), UNTRUSTED_META: list(_UNTRUSTED_IN_ERROR)},
    )


def error_details(error: MaasMcpError, next_steps: Sequence[NextStep]) -> dict[str, Any]:
    """The error as data."""
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
    return details


def ensure_sendable(name: str, result: types.CallToolResult) -> types.CallToolResult:
    """The result in a form that can be sent and read: without invisible characters and unpaired surrogates.

    Raises:
        ResultTooLargeError: The result has more than :data:`RESULT_LIMIT` bytes.
    """
    try:
        sent = to_json(result, by_alias=True, exclude_none=True)
    except PydanticSerializationError:  # an unpaired surrogate
        return ensure_sendable(name, _visible(result))
    if len(sent) > RESULT_LIMIT:
        raise ResultTooLargeError(name, len(sent), RESULT_LIMIT)
    return result if is_visible_json(sent.decode()) else _visible(result)


def _visible(result: types.CallToolResult) -> types.CallToolResult:
    return types.CallToolResult.model_validate(make_json_visible(result.model_dump()))
