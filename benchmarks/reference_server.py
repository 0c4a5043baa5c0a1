"""The SDK's own server with three trivial tools, the reference for the cost of calls and of progress.

    python benchmarks/reference_server.py [--http PORT]

Serves stdin and stdout with the SDK's default transport, or its HTTP application with the SDK's defaults.
"""

import itertools
import random
import sys

import anyio
import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

TOOLS = [
    types.Tool(name="bench_nothing", input_schema={"type": "object", "properties": {"text": {"type": "string"}}}),
    types.Tool(name="bench_progress", input_schema={"type": "object", "properties": {"count": {"type": "integer"}}}),
    types.Tool(name="bench_follow", input_schema={"type": "object", "properties": {"every": {"type": "number"}}}),
]


async def list_tools(_ctx: ServerRequestContext, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    """List the tools."""
    return types.ListToolsResult(tools=TOOLS)


async def call_tool(ctx: ServerRequestContext, params: types.CallToolRequestParams) -> types.CallToolResult:
    """Report progress as often as the call wants, and return its text. ``bench_follow`` never returns."""
    given = params.arguments or {}
    if params.name == "bench_follow":
        await follow(ctx, float(given["every"]))
    count = int(given.get("count", 0))
    for number in range(count):
        await ctx.session.report_progress((number + 1) / count, 1.0, f"step {number}")
    text = str(given.get("text", ""))
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content={"text": text})


SERVER = Server("reference", on_list_tools=list_tools, on_call_tool=call_tool)


async def follow(ctx: ServerRequestContext, every: float) -> None:
    """Report progress every so many seconds."""
    await anyio.sleep(random.uniform(0, every))
    for number in itertools.count():
        await ctx.session.report_progress(float(number), None, f"Installing OS: step {number} of the installation")
        await anyio.sleep(every)


async def serve_stdio() -> None:
    """Serve one client."""
    async with stdio_server() as (reading, writing):
        await SERVER.run(reading, writing, SERVER.create_initialization_options())


def serve_http(port: int) -> None:
    """Serve many clients, with as many sessions as they open."""
    app = SERVER.streamable_http_app(max_sessions=None)
    uvicorn.run(app, host="127.0.0.1", port=port, loop="asyncio", http="h11", log_level="warning")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--http"]:
        serve_http(int(sys.argv[2]))
    else:
        anyio.run(serve_stdio)
