"""Serves resources over MCP: lists and reads them, and keeps the subscriptions of sessions before 2026-07-28."""

from collections.abc import Sequence
from typing import Any, Final

import mcp_types as types
from mcp.server import Server
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic_core import to_json

from maas_mcp.calls.chain import run_call
from maas_mcp.calls.contributed import SentContent, find_resource
from maas_mcp.calls.host import Host
from maas_mcp.calls.next_steps import resolve_steps
from maas_mcp.calls.served import Served
from maas_mcp.errors import MaasMcpError, ResourceNotFoundError, ResultTooLargeError
from maas_mcp.machine_text import make_visible
from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.operations.progress import Progress
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.paging import page
from maas_mcp.server.request_context import Context, client_connection
from maas_mcp.server.session_subscriptions import subscriptions_of
from maas_mcp.server.skills import SkillCatalogue
from maas_mcp.server.tools import RESULT_LIMIT, UNTRUSTED_META, error_details

FILE_TTL: Final = 60_000
"""Milliseconds for which a client may keep a skill's file."""
LEGACY_NOT_FOUND: Final = -32002
"""The error code for an unknown resource before 2026-07-28, which uses -32602 (SEP-2164)."""


class ResourceHandlers:
    """The handlers of the resource methods.

    Args:
        resources: The served resources and templates.
        skills: The skills, whose files are resources too.
        served: The served tools.
    """

    def __init__(self, resources: Sequence[Resource], skills: SkillCatalogue, served: Served) -> None:
        self._served = served
        self.declared = resources
        """The served resources and templates, without the skills' files."""
        self._skills = skills
        self._own = [_resource(each) for each in resources if not each.template.variables]
        self._templates = types.ListResourceTemplatesResult(
            resource_templates=[_template(each) for each in resources if each.template.variables]
        )

    def listed(self) -> Sequence[types.Resource]:
        """The resources, including the skills' files, without the templates."""
        return [*self._own, *self._skills.resources()]

    async def list_resources(self, _ctx: Context, params: types.PaginatedRequestParams) -> types.ListResourcesResult:
        """Handle ``resources/list``.

        Raises:
            MCPError: The cursor is unknown.
        """
        shown, following = page(self.listed(), params.cursor)
        return types.ListResourcesResult(resources=shown, next_cursor=following)

    async def list_templates(
        self, _ctx: Context, _params: types.PaginatedRequestParams
    ) -> types.ListResourceTemplatesResult:
        """Handle ``resources/templates/list``."""
        return self._templates

    async def read(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        """Handle ``resources/read``. A read passes the same steps as a tool call.

        Raises:
            MCPError: There is no such resource, or it could not be read.
        """
        if (file := self._skills.read(params.uri)) is not None:
            return types.ReadResourceResult(contents=[file], ttl_ms=FILE_TTL)
        host, request_id = ctx.lifespan_context, ctx.request_id

        async def send(progress: Progress) -> None:
            await ctx.session.report_progress(progress.value, progress.total, make_visible(progress.message))

        try:
            answer = await run_call(
                host,
                find_resource(self.declared, params.uri),
                {},
                connection=client_connection(ctx),
                sender=lambda _token: send,
                request_id=None if request_id is None else coerce_request_id(request_id),
                served=self._served,
            )
            return types.ReadResourceResult(contents=[_contents(params.uri, answer.result)])
        except MaasMcpError as error:
            raise self._wire_error(ctx, params.uri, error) from None

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Handle ``resources/subscribe``, of revisions before 2026-07-28.

        Raises:
            MCPError: There is no such resource, or the session has too many subscriptions.
        """
        try:
            if self._skills.read(params.uri) is None:
                find_resource(self.declared, params.uri)
        except ResourceNotFoundError as error:
            raise self._wire_error(ctx, params.uri, error) from None
        subscriptions_of(ctx).add(params.uri)
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Handle ``resources/unsubscribe``. A URI without a subscription is no error."""
        subscriptions_of(ctx).remove(params.uri)
        return types.EmptyResult()

    def _wire_error(self, ctx: Context, uri: str, error: MaasMcpError) -> MCPError:
        text = " ".join(filter(None, [error.message, error.hint]))
        if isinstance(error, ResourceNotFoundError):
            code = types.INVALID_PARAMS if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else LEGACY_NOT_FOUND
            return MCPError(code=code, message=text, data={"uri": uri})
        details = error_details(error, resolve_steps(error.next_steps, self._served.tools))
        return MCPError(code=types.INTERNAL_ERROR, message=text, data=details)


def add_handlers(server: Server[Host], served: Catalogue, _log: ClientLog) -> None:
    """Handle the requests for resources."""

    async def list_resources(ctx: Context, params: types.PaginatedRequestParams) -> types.ListResourcesResult:
        return await (await served.view(ctx)).contents.resources.list_resources(ctx, params)

    async def list_templates(ctx: Context, params: types.PaginatedRequestParams) -> types.ListResourceTemplatesResult:
        return await (await served.view(ctx)).contents.resources.list_templates(ctx, params)

    async def read(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return await (await served.view(ctx)).contents.resources.read(ctx, params)

    async def subscribe(ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        return await (await served.view(ctx)).contents.resources.subscribe(ctx, params)

    async def unsubscribe(ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        return await (await served.view(ctx)).contents.resources.unsubscribe(ctx, params)

    server.add_request_handler("resources/list", types.PaginatedRequestParams, list_resources)
    server.add_request_handler("resources/templates/list", types.PaginatedRequestParams, list_templates)
    server.add_request_handler("resources/read", types.ReadResourceRequestParams, read)
    server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, subscribe)
    server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, unsubscribe)


def _title(resource: Resource) -> str:
    return resource.title or resource.name.replace("_", " ").capitalize()


def _resource(resource: Resource) -> types.Resource:
    return types.Resource(uri=resource.uri, **_described(resource))


def _template(resource: Resource) -> types.ResourceTemplate:
    return types.ResourceTemplate(uri_template=resource.uri, **_described(resource))


def _described(resource: Resource) -> dict[str, Any]:
    return {
        "name": resource.name,
        "title": _title(resource),
        "description": resource.description(),
        "mime_type": resource.mime_type or None,
    }


def _contents(uri: str, content: object) -> types.TextResourceContents | types.BlobResourceContents:
    """The content as MCP sends it.

    Raises:
        ResultTooLargeError: It is too large.
    """
    if not isinstance(content, SentContent):
        raise TypeError("a resource has no content")
    size = len(content.blob or "") or len(to_json(make_visible(content.text or "")))
    if size > RESULT_LIMIT:
        raise ResultTooLargeError(uri[:200], size, RESULT_LIMIT)
    if content.blob is not None:
        return types.BlobResourceContents(uri=uri, mime_type=content.mime_type, blob=content.blob)
    return types.TextResourceContents(
        uri=uri,
        mime_type=content.mime_type,
        text=make_visible(content.text or ""),
        _meta={UNTRUSTED_META: list(content.machine_fields)} if content.machine_fields else None,
    )
