"""Serves prompts: the plugins' skills, for clients without that extension, and the prompts declared in code."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from typing import Final

import mcp_types as types
from mcp.server import Server
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from maas_mcp.calls.asking import EarlyAsker
from maas_mcp.calls.host import Host
from maas_mcp.errors import MaasMcpError
from maas_mcp.machine_text import make_visible
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.content import Part
from maas_mcp.operations.declaring.prompt import PromptContext
from maas_mcp.operations.declaring.questions import AnswersNeededError
from maas_mcp.operations.declaring.tool import plugin_error
from maas_mcp.plugins.prompts import AnyPrompt
from maas_mcp.plugins.schemas import input_schema
from maas_mcp.plugins.skills import Skill
from maas_mcp.server.asking import asker_for, questions_result
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.content import content_block
from maas_mcp.server.paging import page
from maas_mcp.server.request_context import Context, client_connection
from maas_mcp.server.skills import SkillCatalogue

CACHE: Final = CacheHint(ttl_ms=60_000)

ContextOf = Callable[[AnyPrompt], Awaitable[PromptContext]]
"""Returns the services for a prompt."""

logger = logging.getLogger(__name__)


class PromptCatalogue:
    """The prompts that a server serves. Skills are read at the first use; a declared prompt wins over a skill's name.

    Args:
        prompts: The prompts declared in code, by name.
        skills: The skills.
    """

    def __init__(self, prompts: Mapping[str, AnyPrompt], skills: SkillCatalogue) -> None:
        self._prompts = prompts
        self._skills = skills

    @cached_property
    def listed(self) -> Sequence[types.Prompt]:
        """All prompts, sorted by name."""
        return [self._describe(each) for _, each in sorted(self._by_name.items())]

    async def messages(
        self, name: str, context_of: ContextOf, given: Mapping[str, str]
    ) -> Sequence[types.PromptMessage]:
        """The messages of a prompt.

        Raises:
            MCPError: The prompt is unknown, or an argument is invalid.
            MaasMcpError: The prompt or a lifespan of its plugin failed.
        """
        prompt = self._by_name.get(name)
        if prompt is None:
            raise _invalid(f"Unknown prompt: {name[:64]}. Pass a name that prompts/list lists.")
        _check_names(self._describe(prompt), given)
        if isinstance(prompt, Skill):
            return [_message(_filled(prompt, given)), *map(_embedded, self._skills.other_files(prompt))]
        return [_message(each) for each in await _run(prompt, context_of, given)]

    @cached_property
    def _by_name(self) -> Mapping[str, AnyPrompt | Skill]:
        return {**{skill.name: skill for skill in self._skills.skills}, **self._prompts}

    def _describe(self, prompt: AnyPrompt | Skill) -> types.Prompt:
        if isinstance(prompt, Skill):
            return types.Prompt(
                name=prompt.name,
                title=_title(prompt.name),
                description=prompt.description,
                arguments=[
                    types.PromptArgument(name=name, description=text, required=False)
                    for name, text in prompt.arguments.items()
                ],
            )
        schema = input_schema(prompt.arguments)
        return types.Prompt(
            name=prompt.name,
            title=prompt.title or _title(prompt.name),
            description=prompt.description(),
            arguments=[
                types.PromptArgument(
                    name=name, description=field.get("description"), required=name in schema.get("required", ())
                )
                for name, field in schema["properties"].items()
            ],
        )


def add_handlers(server: Server[Host], served: Catalogue, log: ClientLog) -> None:
    """Handle the requests for prompts."""

    async def list_prompts(ctx: Context, params: types.PaginatedRequestParams) -> types.ListPromptsResult:
        prompts, following = page((await served.view(ctx)).contents.prompts.listed, params.cursor)
        return types.ListPromptsResult(prompts=prompts, next_cursor=following)

    async def get_prompt(
        ctx: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        prompts = (await served.view(ctx)).contents.prompts
        async with ctx.lifespan_context.tenant(client_connection(ctx).principal) as tenant:
            asker = EarlyAsker(asker_for(ctx, params, log), params.name[:64])

            async def context_of(prompt: AnyPrompt) -> PromptContext:
                plugin = await tenant.plugins.open(prompt)
                return PromptContext(lambda: asker.noting_changes(tenant.maas), client=asker, plugin=plugin)

            try:
                messages = await prompts.messages(params.name, context_of, params.arguments or {})
            except AnswersNeededError as needed:
                return questions_result(needed, params)
            except MaasMcpError as error:
                text = f"{error.message} {error.hint or ''}".strip()
                raise MCPError(code=types.INTERNAL_ERROR, message=make_visible(text)) from error
        return types.GetPromptResult(messages=list(messages))

    server.add_request_handler("prompts/list", types.PaginatedRequestParams, list_prompts)
    server.add_request_handler("prompts/get", types.GetPromptRequestParams, get_prompt)
    server.cache_hints["prompts/list"] = CACHE


def _check_names(prompt: types.Prompt, given: Mapping[str, str]) -> None:
    arguments = prompt.arguments or []
    known = [each.name for each in arguments]
    unknown = [name for name in given if name not in known]
    missing = [each.name for each in arguments if each.required and each.name not in given]
    if unknown or missing:
        problems = [f"unknown: {', '.join(unknown)[:200]}"] if unknown else []
        problems += [f"missing: {', '.join(missing)}"] if missing else []
        raise _invalid(
            f"The arguments of {prompt.name} are not as expected ({'; '.join(problems)}). "
            f"Pass: {', '.join(known) or 'none'}."
        )


def _filled(skill: Skill, given: Mapping[str, str]) -> str:
    """The skill's text. The values come first and as JSON, so that no value can look like a part of the text."""
    if not (values := {name: text for name, text in given.items() if text}):
        return skill.text
    return (
        f"Follow this runbook with these values from the user: {json.dumps(values, ensure_ascii=False)}\n\n{skill.text}"
    )


async def _run(prompt: AnyPrompt, context_of: ContextOf, given: Mapping[str, str]) -> Sequence[Part]:
    try:
        args = prompt.arguments.model_validate_strings(dict(given))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in details)
        raise _invalid(f"The arguments of {prompt.name} are not as expected: {problems[:600]}.") from error
    ctx = await context_of(prompt)
    try:
        return await prompt.messages(ctx, args)
    except BaseException as error:
        if is_cancellation(error) or isinstance(error, MaasMcpError):
            raise
        logger.exception("%s failed", prompt.name)
        raise plugin_error(prompt.name, error) from error


def _embedded(content: types.TextResourceContents | types.BlobResourceContents) -> types.PromptMessage:
    return types.PromptMessage(role="user", content=types.EmbeddedResource(resource=content))


def _message(part: Part) -> types.PromptMessage:
    return types.PromptMessage(role="user", content=content_block(part))


def _title(name: str) -> str:
    return name.replace("-", " ").replace("_", " ").capitalize()


def _invalid(message: str) -> MCPError:
    return MCPError(code=types.INVALID_PARAMS, message=message)
