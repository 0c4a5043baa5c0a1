"""Asks a client: with requests to clients of early revisions, and by the results of calls since 2026-07-28.

A call of a new client ends with its questions. The client calls again with the answers, and with the earlier answers in
a sealed state, so that any replica can continue.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from pydantic import BaseModel, ValidationError

from maas_mcp.errors import CannotAskError, NotAnsweredError, PluginError
from maas_mcp.operations.declaring.questions import (
    AnswersNeededError,
    Asker,
    ClientFolder,
    ClientFolders,
    ClientRequest,
    FolderRequest,
    ModelPrompt,
    ModelReply,
    Question,
    cannot_ask,
)
from maas_mcp.plugins.schemas import exact_schema
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.request_context import Context, is_modern, request_meta

ANSWER_LIMIT: Final = 300.0
"""Seconds for an answer to a client's open call. No answer means no."""
FLAT_TYPES: Final = frozenset({"string", "number", "integer", "boolean"})


def asker_for(
    ctx: Context, params: types.InputResponseRequestParams, log: ClientLog, limit: float = ANSWER_LIMIT
) -> Asker:
    """The asker for a client's request."""
    if is_modern(ctx):
        return _RoundTrips(_capabilities(request_meta(ctx).get(types.CLIENT_CAPABILITIES_META_KEY)), params)
    return _OpenRequest(ctx, log, limit)


def questions_result(needed: AnswersNeededError, params: types.InputResponseRequestParams) -> types.InputRequiredResult:
    """The result that asks a client, with the answers so far for its next call."""
    return types.InputRequiredResult(
        input_requests={key: mcp_request(each) for key, each in needed.requests.items()},
        request_state=json.dumps(_answers_so_far(params)),
    )


def missing_capability(error: CannotAskError) -> MCPError:
    """The protocol error of a new client's call that needs another capability of the client."""
    return MCPError(
        code=types.MISSING_REQUIRED_CLIENT_CAPABILITY,
        message=f"{error.message} {error.hint}",
        data={"requiredCapabilities": {name: {} for name in error.capabilities}},
    )


class _RoundTrips:
    """Takes answers from the request, and ends the call if one is missing."""

    def __init__(self, capabilities: types.ClientCapabilities, params: types.InputResponseRequestParams) -> None:
        self._capabilities = capabilities
        self._given = _answers_so_far(params)

    def can_ask(self, kind: type[Any] = Question) -> bool:
        return _can_answer(self._capabilities, kind)

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, BaseModel]:
        _check_all(self, requests)
        answers = {key: read_answer(each, self._given[key]) for key, each in requests.items() if key in self._given}
        missing = {key: each for key, each in requests.items() if answers.get(key) is None}
        if missing:
            raise AnswersNeededError(missing)
        return {key: each for key, each in answers.items() if each is not None}

    async def log(self, text: str, level: str) -> None:
        pass  # MCP has deprecated log messages


class _OpenRequest:
    """Sends requests to the client while the call waits."""

    def __init__(self, ctx: Context, log: ClientLog, limit: float) -> None:
        self._ctx = ctx
        self._log = log
        self._limit = limit

    def can_ask(self, kind: type[Any] = Question) -> bool:
        return self._ctx.session.can_send_request and _can_answer(self._ctx.session.client_capabilities, kind)

    async def ask(self, requests: Mapping[str, ClientRequest]) -> Mapping[str, BaseModel]:
        _check_all(self, requests)
        return {key: await self._answered(each) for key, each in requests.items()}

    async def log(self, text: str, level: str) -> None:
        await self._log.send(self._ctx, text, level)

    async def _answered(self, request: ClientRequest) -> BaseModel:
        with anyio.move_on_after(self._limit):
            try:
                given = await self._send(request)
            except (MCPError, ValidationError) as error:
                raise NotAnsweredError("The client did not pass on an answer, so nothing was sent to MAAS.") from error
            answer = read_answer(request, given)
            if answer is None:
                raise NotAnsweredError("The answer does not fit the question, so nothing was sent to MAAS.")
            return answer
        raise NotAnsweredError(f"There was no answer within {self._limit:g} s, so nothing was sent to MAAS.")

    async def _send(self, request: ClientRequest) -> dict[str, Any]:
        sent = mcp_request(request)
        results: dict[type[Any], type[types.Result]] = {
            types.ElicitRequest: types.ElicitResult,
            types.CreateMessageRequest: types.CreateMessageResult,
            types.ListRootsRequest: types.ListRootsResult,
        }
        metadata = ServerMessageMetadata(related_request_id=self._ctx.request_id)
        result = await self._ctx.session.send_request(sent, results[type(sent)], metadata=metadata)
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)


def _check_all(asker: Asker, requests: Mapping[str, ClientRequest]) -> None:
    if not all(asker.can_ask(type(each)) for each in requests.values()):
        raise cannot_ask(asker, requests)


def _can_answer(capabilities: types.ClientCapabilities | None, kind: type[Any]) -> bool:
    if capabilities is None:
        return False
    if kind is ModelPrompt:
        return capabilities.sampling is not None
    if kind is FolderRequest:
        return capabilities.roots is not None
    elicitation = capabilities.elicitation
    # A client that names no mode has forms.
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _capabilities(given: object) -> types.ClientCapabilities:
    try:
        return types.ClientCapabilities.model_validate(given)
    except ValidationError:
        return types.ClientCapabilities()


def _answers_so_far(params: types.InputResponseRequestParams) -> dict[str, Any]:
    """The client's answers in this and the earlier calls. The SDK has verified the state of the earlier ones."""
    earlier = json.loads(params.request_state) if params.request_state else {}
    now = {
        key: each.model_dump(mode="json", by_alias=True, exclude_none=True)
        for key, each in (params.input_responses or {}).items()
    }
    return {**earlier, **now}


def mcp_request(request: ClientRequest) -> types.InputRequest:
    """The request in MCP's form."""
    match request:
        case ModelPrompt():
            message = types.SamplingMessage(role="user", content=types.TextContent(text=request.text))
            return types.CreateMessageRequest(
                params=types.CreateMessageRequestParams(messages=[message], max_tokens=request.max_tokens)
            )
        case FolderRequest():
            return types.ListRootsRequest()
        case Question():
            return types.ElicitRequest(
                params=types.ElicitRequestFormParams(message=request.text, requested_schema=form_schema(request.answer))
            )


def form_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a form.

    Raises:
        PluginError: A field is neither a string, a number, a boolean, a choice nor a list of choices.
    """
    schema = exact_schema(model)
    fields = {
        name: {key: each for key, each in field.items() if key != "nullable"}
        for name, field in schema["properties"].items()
    }
    for name, field in fields.items():
        flat = field.get("type") in FLAT_TYPES or (field.get("type") == "array" and "properties" not in field["items"])
        if not flat:
            raise PluginError(
                f"The field `{name}` of {model.__name__} cannot be shown in a form, which is a bug in the plugin. "
                "Expected a string, a number, a boolean, a choice or a list of choices."
            )
    return {"type": "object", "properties": fields, "required": list(schema.get("required", []))}


def read_answer(request: ClientRequest, given: object) -> BaseModel | None:
    """The answer; ``None`` if it does not fit the request.

    Raises:
        NotAnsweredError: The user declined.
    """
    try:
        match request:
            case ModelPrompt():
                content = types.CreateMessageResult.model_validate(given).content
                return ModelReply(text=content.text) if isinstance(content, types.TextContent) else None
            case FolderRequest():
                roots = types.ListRootsResult.model_validate(given).roots
                return ClientFolders(folders=[ClientFolder(uri=str(each.uri), name=each.name) for each in roots])
            case Question():
                result = types.ElicitResult.model_validate(given)
                if result.action != "accept":
                    raise NotAnsweredError(
                        "The user declined, so nothing was sent to MAAS.",
                        hint="Repeat the call only if the user asks for it.",
                    )
                answer: BaseModel = request.answer.model_validate(result.content or {})
                return answer
    except ValidationError:
        return None
