"""Prints the bytes and tokens of ``tools/list`` with all installed plugins, and of the part that a model reads.

    python benchmarks/tool_list.py

Tokens are counted with the encoding o200k_base if the package ``bpe-openai`` is installed, which contains it. Otherwise
they are estimated: one for each word, for each group of at most three digits, and for each group of punctuation. Other
models' tokens differ by some tenths.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from mcp_types import ListToolsResult

from maas_mcp.plugins.registry import load_registry
from maas_mcp.server.loaded_tools import served_tools
from maas_mcp.server.tools import mcp_tool

PIECE = re.compile(r"\s?[^\W\d_]+|\d{1,3}|[^\w\s]+|_|\s+")
READ = ("name", "description", "inputSchema")
"""The parts of a tool that a model reads."""


def counter() -> tuple[str, Callable[[str], int]]:
    """Return the name of the rule by which tokens are counted, and the rule."""
    try:
        import bpe_openai  # noqa: PLC0415 - 40 MB, so it is not required
    except ImportError:
        return "estimated", lambda text: len(PIECE.findall(text))
    encoding = bpe_openai.get_encoding("o200k_base")
    return "o200k_base", lambda text: len(encoding.encode(text))


def compact(value: Any) -> str:
    """The JSON of a value as the server sends it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def main() -> None:
    """Print the figures, and the largest tools."""
    tools = served_tools(load_registry()).values()
    result = ListToolsResult(tools=[mcp_tool(tool) for tool in tools])
    sent = json.loads(result.model_dump_json(by_alias=True, exclude_none=True))
    read = [{key: tool[key] for key in READ} for tool in sent["tools"]]
    rule, tokens = counter()
    print(f"{len(read)} tools; tokens {rule}")
    for label, value in (("sent", sent), ("read by a model", read)):
        print(f"{label:16}{len(compact(value).encode()):8,} bytes{tokens(compact(value)):8,} tokens")
    for tool in sorted(read, key=lambda tool: -len(compact(tool)))[:5]:
        print(f"  {tool['name']:28}{len(compact(tool)):6,} bytes read")


if __name__ == "__main__":
    main()
