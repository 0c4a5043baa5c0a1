"""Judges a call as the server would, without making it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from maas_mcp.calls.arguments import ClientFeatures, parse_arguments
from maas_mcp.calls.call import ToolCall
from maas_mcp.calls.chain import region_of_operation
from maas_mcp.calls.connections import Connection
from maas_mcp.calls.guard import Judgement, judge_call
from maas_mcp.calls.host import Host
from maas_mcp.calls.principal import Scope
from maas_mcp.calls.served import Served
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.plugins.registry import AnyTool


async def explain_call(
    host: Host,
    tool: AnyTool,
    given: Mapping[str, Any],
    *,
    connection: Connection,
    scopes: frozenset[Scope],
    served: Served,
) -> Judgement:
    """Judge a call by the policy and by the machines as they are. Nothing is changed.

    Args:
        host: The host.
        tool: The tool.
        given: The arguments, as a client sends them.
        connection: A connection of the principal whose API key reads the machines.
        scopes: The scopes by which the call is judged.
        served: The tools that the caller can use.

    Raises:
        InvalidArgumentsError: The arguments are invalid.
        MaasError: The machines cannot be read.
    """
    client, principal = ClientFeatures(), connection.principal
    arguments, options = parse_arguments(tool, given, client, host.regions_of(principal))
    region = options.region or await region_of_operation(host, principal, tool, arguments)
    async with host.tenant(principal, region) as tenant:
        with connection.running(None) as running:
            call = ToolCall(
                tool=tool,
                arguments=arguments,
                options=options,
                effects=tool.effects(arguments),
                principal=replace(principal, scopes=scopes),
                host=host,
                tenant=tenant,
                served=served,
                client=client,
                progress=ProgressReporter(discard_progress),
                running=running,
            )
            return await judge_call(call)
