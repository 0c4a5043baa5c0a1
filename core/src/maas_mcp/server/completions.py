"""``completion/complete``: the values of an argument that begin with what the user has typed."""

import logging
from collections.abc import Sequence

import mcp_types as types
from mcp.server import Server
from mcp.shared.exceptions import MCPError

from maas_mcp.calls.chain import run_call
from maas_mcp.calls.contributed import Choices, ListChoices
from maas_mcp.calls.host import Host
from maas_mcp.calls.served import Served
from maas_mcp.errors import MaasMcpError
from maas_mcp.operations.declaring.completion import Choice, Completion
from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.operations.progress import discard_progress
from maas_mcp.plugins.registry import Registry
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.request_context import Context, client_connection

logger = logging.getLogger(__name__)


class CompletionHandler:
    """Completes arguments of resource templates and prompts.

    Args:
        registry: The plugins' completions.
        resources: The served resources and templates.
        served: The served tools.
    """

    def __init__(self, registry: Registry, resources: Sequence[Resource], served: Served) -> None:
        self._served = served
        self._completions: dict[str, Completion] = {
            name: each for plugin in registry.plugins for each in plugin.completions for name in each.arguments
        }
        self._variables = {each.uri: each.template.variables for each in resources}

    async def __call__(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        """Complete one argument. If the values cannot be read, there are none: the user can still type.

        Raises:
            MCPError: The template does not exist or has no such variable.
        """
        name = params.argument.name
        if isinstance(params.ref, types.ResourceTemplateReference) and name not in self._variables.get(
            params.ref.uri, ()
        ):
            raise MCPError(
                code=types.INVALID_PARAMS,
                message=f"No resource template {params.ref.uri[:200]} has a variable {name[:64]!r}. "
                "List the templates to see their variables.",
            )
        completion = self._completions.get(name)
        if completion is None:
            return types.CompleteResult(completion=types.Completion(values=[], total=0, has_more=False))
        connection = client_connection(ctx)
        host = ctx.lifespan_context

        async def read() -> list[Choice]:
            answer = await run_call(
                host,
                ListChoices(completion),
                {},
                connection=connection,
                sender=lambda _token: discard_progress,
                served=self._served,
            )
            if not isinstance(answer.result, Choices):
                raise TypeError(f"{type(completion).__qualname__} returned no choices")
            return [Choice(value, tuple(names)) for value, names in answer.result.values]

        try:
            async with host.tenant(connection.principal) as tenant:
                found = await tenant.choices.complete(completion, params.argument.value, read)
        except MaasMcpError as error:
            logger.info("The argument %s cannot be completed: %s", name[:64], error.message)
            return types.CompleteResult(completion=types.Completion(values=[]))
        return types.CompleteResult(
            completion=types.Completion(values=found.values, total=found.total, has_more=found.more)
        )


def add_handlers(server: Server[Host], served: Catalogue, _log: ClientLog) -> None:
    """Handle ``completion/complete``."""

    async def complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        return await (await served.view(ctx)).contents.completions(ctx, params)

    server.add_request_handler("completion/complete", types.CompleteRequestParams, complete)
