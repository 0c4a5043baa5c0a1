"""Prints the bytes and tokens of ``tools/list`` with all installed plugins, and of the part that a model reads.

It also prints them for each mode and for each toolset alone.

    python benchmarks/tool_list.py

Tokens are counted with the encoding o200k_base if the package ``bpe-openai`` is installed, which contains it. Otherwise
they are estimated: one for each word, and for each group of at most three digits or punctuation marks. Other models'
tokens differ by some tenths.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from mcp_types import ListToolsResult

from maas_mcp.calls.served import Serving
from maas_mcp.operations.declaring.pages import estimate_tokens
from maas_mcp.plugins.registry import AnyTool, Registry, load_registry
from maas_mcp.policy.configuration import MODES
from maas_mcp.policy.selection import SiteSelection
from maas_mcp.server.loaded_tools import served_tools, toolsets_of
from maas_mcp.server.tools import mcp_tool

READ = ("name", "description", "inputSchema")
"""The parts of a tool that a model reads."""


def counter() -> tuple[str, Callable[[str], int]]:
    """Return the name of the rule by which tokens are counted, and the rule."""
    try:
        import bpe_openai  # noqa: PLC0415 - 40 MB, so it is not required
    except ImportError:
        return "estimated", estimate_tokens
    encoding = bpe_openai.get_encoding("o200k_base")
    return "o200k_base", lambda text: len(encoding.encode(text))


def compact(value: Any) -> str:
    """The JSON of a value as the server sends it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def print_parts(registry: Registry, tokens: Callable[[str], int]) -> None:
    """Print what a server sends in each mode, and with each toolset alone."""
    tools, toolsets = served_tools(registry), toolsets_of(registry)
    parts = {f"mode {mode}": SiteSelection(mode, read_only=MODES[mode].reads_only) for mode in MODES}
    for name in sorted(set(toolsets.values())):
        parts[f"toolset {name}"] = SiteSelection("standard", read_only=False, toolsets=frozenset({name}))
    for label, selection in parts.items():
        served = Serving(tools, toolsets, [selection]).select().tools.values()
        text = compact(listed(served))
        print(f"{label:20}{len(served):3} tools{len(text.encode()):8,} bytes{tokens(text):8,} tokens sent")


def listed(tools: Iterable[AnyTool]) -> Any:
    """The result of ``tools/list``, as it is sent."""
    result = ListToolsResult(tools=[mcp_tool(tool) for tool in tools])
    return json.loads(result.model_dump_json(by_alias=True, exclude_none=True))


def main() -> None:
    """Print the figures, and the largest tools."""
    registry = load_registry()
    sent = listed(served_tools(registry).values())
    read = [{key: tool[key] for key in READ} for tool in sent["tools"]]
    rule, tokens = counter()
    print(f"{len(read)} tools; tokens {rule}")
    for label, value in (("sent", sent), ("read by a model", read)):
        print(f"{label:16}{len(compact(value).encode()):8,} bytes{tokens(compact(value)):8,} tokens")
    for tool in sorted(read, key=lambda tool: -len(compact(tool)))[:5]:
        print(f"  {tool['name']:28}{len(compact(tool)):6,} bytes read")
    print_parts(registry, tokens)


if __name__ == "__main__":
    main()
