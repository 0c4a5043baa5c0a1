"""Deploys a machine with FastMCP's client, as a program: importing FastMCP changes the SDK's types for a whole process.

python fastmcp_client.py ERA SERVER SYSTEM_ID

ERA: auto or legacy. SERVER: a URL or a command. Prints one JSON object: the tools, the progress, and the result.
"""

import asyncio
import json
import os
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport


async def deploy(era: str, server: str, system_id: str) -> None:
    """Deploy the machine, and print what the client saw."""
    reported: list[float] = []

    async def note(progress: float, total: float | None, _message: str | None) -> None:
        reported.append(progress / (total or 1.0))

    target = server if server.startswith("http") else StdioTransport(server, ["serve"], dict(os.environ))
    async with Client(target, mode=era) as client:
        tools = [each.name for each in await client.list_tools()]
        done = await client.call_tool("maas_deploy_machine", {"system_id": system_id}, progress_handler=note)
    json.dump({"tools": tools, "progress": reported, "result": done.structured_content}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(deploy(*sys.argv[1:]))
