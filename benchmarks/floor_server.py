"""The least that a plugin host costs: the bare server, the libraries that it is built on, and models of its tools.

    python benchmarks/floor_server.py TOOLS.json

TOOLS.json is the result of ``tools/list``. For each tool, a pydantic model of its arguments and one of its result is
built, and their JSON Schemas are generated, as any host of tools that are declared with pydantic has to.
"""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import bare_server  # type: ignore[import-not-found] # a script in the same folder
import mcp_types as types
import pluggy
import pydantic_settings
import stevedore.named
from pydantic import BaseModel, Field, create_model

LIBRARIES = (pluggy.PluginManager, pydantic_settings.BaseSettings, stevedore.named.NamedExtensionManager)
TYPES: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list[str]}


def model(name: str, schema: dict[str, Any]) -> type[BaseModel]:
    """Build a model with the fields of a schema."""
    fields: dict[str, Any] = {
        key: (TYPES.get(str(field.get("type")), dict[str, Any]) | None, Field(default=None, description="A field."))
        for key, field in schema["properties"].items()
    }
    return create_model(name, **fields)


def tools(listed: list[dict[str, Any]]) -> list[types.Tool]:
    """Build tools with generated schemas."""
    return [
        types.Tool(
            name=tool["name"],
            description=tool["description"],
            input_schema=model("Arguments", tool["inputSchema"]).model_json_schema(),
            output_schema=model("Result", tool["outputSchema"]).model_json_schema(mode="serialization"),
        )
        for tool in listed
    ]


if __name__ == "__main__":
    TOOLS = tools(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["tools"])

    async def list_tools(_ctx: object, _params: object) -> types.ListToolsResult:
        """List the tools."""
        return types.ListToolsResult(tools=TOOLS)

    bare_server.list_tools = list_tools
    anyio.run(bare_server.main)
