"""A minimal MCP server, the reference for start-up: one tool on the SDK's transport."""

import anyio
import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

TOOL = types.Tool(name="nothing", input_schema={"type": "object"})


async def list_tools(_ctx: ServerRequestContext, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    """List the only tool."""
    return types.ListToolsResult(tools=[TOOL])


async def call_tool(_ctx: ServerRequestContext, _params: types.CallToolRequestParams) -> types.CallToolResult:
    """Return an empty result."""
    return types.CallToolResult(content=[])


async def main() -> None:
    """Run the server on stdin and stdout."""
    server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
