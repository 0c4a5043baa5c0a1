"""The list of tools stays short: clients load all of it, and models read its names, descriptions and arguments."""

import json
from typing import Any, Final

import pytest
from mcp_types import ListToolsResult

from maas_mcp.server.tools import mcp_tool
from tests.own_plugins import own_tools

for plugin in ("maas_commission", "maas_configure", "maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)

SERVED: Final = own_tools()
SENT_LIMIT: Final = 53_500
"""Bytes of the result of ``tools/list``."""
READ_LIMIT: Final = 31_500
"""Bytes of what a model reads of it, as JSON."""


def size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def test_the_list_of_all_tools_is_small() -> None:
    result = ListToolsResult(tools=[mcp_tool(tool) for tool in SERVED.values()])
    sent = json.loads(result.model_dump_json(by_alias=True, exclude_none=True))
    read = [{key: tool[key] for key in ("name", "description", "inputSchema")} for tool in sent["tools"]]

    assert len(sent["tools"]) == 41
    assert size(sent) <= SENT_LIMIT
    assert size(read) <= READ_LIMIT


def test_the_most_used_tools_come_first() -> None:
    first = list(SERVED)[:5]

    assert first == [
        "maas_list_machines",
        "maas_get_machine",
        "maas_deploy_machine",
        "maas_deploy_machines",
        "maas_release_machine",
    ]
