"""The MCP server: lists the registry's tools and calls them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any, Final

import mcp_types as types
from mcp.server import Server
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.exceptions import MCPError

from maas_mcp import __version__
from maas_mcp.calls.arguments import ClientFeatures, published_arguments
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.change_stream import Observer
from maas_mcp.calls.connections import Connections
from maas_mcp.calls.host import Host, open_host
from maas_mcp.calls.next_steps import resolve_steps, tool_for
from maas_mcp.calls.operations_service import OperationsService
from maas_mcp.errors import CannotAskError, MaasMcpError
from maas_mcp.operations.declaring.questions import AnswersNeededError
from maas_mcp.operations.next_steps import LIST_MACHINES
from maas_mcp.plugins.portability import Schema
from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.server.asking import asker_for, missing_capability, questions_result
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.client_requests import Context, client_connection, client_features, is_modern, progress_sender
from maas_mcp.server.completions import CompletionHandler
from maas_mcp.server.listening import Listening
from maas_mcp.server.operation_tools import OPERATION_TOOLS
from maas_mcp.server.own_resources import served_resources
from maas_mcp.server.prompts import PromptCatalogue, add_prompts
from maas_mcp.server.request_state import SealedRequestState
from maas_mcp.server.resources import ResourceHandlers
from maas_mcp.server.skills import SkillCatalogue, add_skills
from maas_mcp.server.task_notifications import TaskListener
from maas_mcp.server.tasks import check_callable, new_task, serve_tasks, starts_after_answer, starts_task
from maas_mcp.server.tools import ensure_sendable, failure, mcp_tool, success
from maas_mcp.settings import Settings

INSTRUCTIONS: Final[tuple[tuple[str, str | None], ...]] = (
    (
        "Manages machines (bare-metal servers and VMs) with Canonical MAAS: list, allocate, deploy (install an OS),",
        None,
    ),
    ("commission, test, release, erase, power on or off, reboot, lock, rescue, repair and abort them,", None),
    ("and list or import OS images.", None),
    ("Tools identify a machine by its system_id; find it with {tool}.", LIST_MACHINES.tool),
    ("Deploying, commissioning, testing, releasing, rescue mode and image imports take minutes to hours:", None),
    ("one call starts the operation, reports progress and returns when it has ended.", None),
    ("With wait_seconds it returns earlier, with an operation_id for {tool}.", "maas_wait_operation"),
    ("If the same operation is already running, a call follows it and does not start it again.", None),
    ("Cancelling a call only stops following: MAAS continues, unless on_cancel is `abort`.", None),
)
"""Parts of the text for the model, each with the tool that it names, if any. A part without its tool is left out."""

LIST_TTL: Final = 60_000
"""Milliseconds for which a client may keep a list. A change of the list is announced as well."""
CACHED_LISTS: Final[tuple[CacheableMethod, ...]] = ("tools/list", "resources/list", "resources/templates/list")

Response = types.CallToolResult | types.InputRequiredResult | dict[str, Any]
"""A tool's result, questions for the user, or a task."""
OpenHost = Callable[
    [Settings, Mapping[str, AnyTool], Connections, Sequence[Observer]], AbstractAsyncContextManager[Host]
]


def build(
    registry: Registry, settings: Settings, connections: Connections, open_host: OpenHost = open_host
) -> Server[Host]:
    """Build the server for the tools of ``registry`` and the host's own tools.

    Args:
        registry: The tools and observers of the plugins.
        settings: The settings.
        connections: The clients' connections and their running calls.
        open_host: Opens the host for the lifetime of the server.
    """
    tools, log = served_tools(registry), ClientLog()
    resources = served_resources(registry)
    skills = SkillCatalogue(registry.skills, tools)
    handlers = ResourceHandlers(resources, skills)

    @cache
    def listing(client: ClientFeatures) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[mcp_tool(tool, client) for tool in tools.values()])

    async def list_tools(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return listing(client_features(ctx))

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> Response:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(code=types.INVALID_PARAMS, message=f"Unknown tool: {params.name[:64]}")
        return await respond(tool, params, ctx, log)

    @cache  # the SDK asks for it at each call over HTTP
    def input_schema(name: str) -> Schema | None:
        return published_arguments(tools[name], ClientFeatures()) if name in tools else None

    @asynccontextmanager
    async def lifespan(_server: Server[Host]) -> AsyncIterator[Host]:
        async with open_host(settings, tools, connections, plugin_observers(registry)) as host:
            host.plugins.use(registry.plugins)
            host.updates.serve(resources)
            yield host

    server = Server(
        "maas-mcp",
        version=__version__,
        title="Canonical MAAS",
        instructions=instructions_for(tools),
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_templates,
        on_read_resource=handlers.read,
        on_subscribe_resource=handlers.subscribe,
        on_unsubscribe_resource=handlers.unsubscribe,
        on_completion=CompletionHandler(registry, resources),
        on_subscriptions_listen=TaskListener(Listening(InMemorySubscriptionBus())),
        cache_hints=dict.fromkeys(CACHED_LISTS, CacheHint(ttl_ms=LIST_TTL)),
        # Without it, the SDK lists all tools before each call over HTTP.
        get_tool_input_schema=input_schema,
    )
    # As an argument, the SDK's types would not allow a task as the result.
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    serve_tasks(server)
    log.serve(server)
    server.middleware.append(SealedRequestState(settings, server.name))
    if registry.skills or registry.prompts:
        add_prompts(server, PromptCatalogue(registry.prompts, skills), client_connection, log)
        if registry.skills:
            add_skills(server, skills)
    return server


def instructions_for(tools: Mapping[str, AnyTool]) -> str:
    """The server's instructions for the model, for these tools."""
    parts = [(sentence, wanted, wanted and tool_for(wanted, tools)) for sentence, wanted in INSTRUCTIONS]
    return " ".join(sentence.format(tool=name) for sentence, wanted, name in parts if name or not wanted)


def plugin_observers(registry: Registry) -> list[Observer]:
    """The plugins' observers of operation changes."""
    return [Observer(f"The plugin {name}", show) for name, show in registry.observers.items()]


def served_tools(registry: Registry) -> dict[str, AnyTool]:
    """The plugins' tools and the host's own tools, by name."""
    own = {tool.name: tool() for tool in OPERATION_TOOLS}
    return dict(sorted({**registry.tools, **own}.items()))


async def respond(tool: AnyTool, params: types.CallToolRequestParams, ctx: Context, log: ClientLog) -> Response:
    """Call a tool with the client's arguments. Every failure becomes a result that a model can read."""
    host, request_id, given = ctx.lifespan_context, ctx.request_id, params.arguments
    connection = client_connection(ctx)
    check_callable(ctx, tool)
    as_task, asker = starts_task(ctx, tool, given), asker_for(ctx, params, log)
    in_task = as_task and starts_after_answer(tool, asker)
    try:
        answer = await run_call(
            host,
            tool,
            {**(given or {}), "wait_seconds": 0} if as_task else given,
            connection=connection,
            sender=lambda token: progress_sender(ctx, token),
            request_id=None if request_id is None else coerce_request_id(request_id),
            client=client_features(ctx),
            user=asker,
            run=OperationsService.start_when_answered if in_task else None,
        )
        if answer.status is not None and answer.status.problem is not None:
            raise answer.status.problem
        if as_task and (task := new_task(ctx, answer, given)):
            return task
        return ensure_sendable(tool.name, success(tool, answer))
    except AnswersNeededError as needed:
        return questions_result(needed, params)
    except CannotAskError as error:
        if is_modern(ctx):
            raise missing_capability(error) from None
        return failure(error)
    except MaasMcpError as error:
        return ensure_sendable(tool.name, failure(error, resolve_steps(error.next_steps, host.tools)))
