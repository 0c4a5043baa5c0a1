"""The arguments of all tools: a value that is null or empty counts as left out."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.calls.arguments import parse_arguments
from maas_mcp.server.tools import mcp_tool
from tests.own_plugins import own_tools

SERVED: Final = own_tools()
NEEDED: Final[Mapping[str, Any]] = {
    "system_id": "4y3h7n",
    "operation_id": "x",
    "text": "node",
    "kind": "tag",
    "machine": "node01",
    "tag": "gpu",
    "power_type": "manual",
    "type": "bridge",
    "parents": ["eno1"],
    "mac_addresses": ["52:54:00:ee:00:01"],
    "interface": "eno1",
    "mode": "link_up",
    "storage_layout": "lvm",
    "link_id": 10,
}
"""Values of required arguments."""
ALSO_NEEDED: Final[Mapping[str, dict[str, Any]]] = {
    "maas_deploy_machines": {"count": 2},
    "maas_update_machine": {"description": "x"},
    "maas_tag_machines": {"add": ["4y3h7n"]},
    "maas_create_interface": {"name": "br0"},
}
"""Values of optional arguments without which a call would be refused."""


@pytest.mark.parametrize("tool", SERVED.values(), ids=SERVED)
@given(data=st.data())
def test_any_optional_argument_that_is_null_or_an_empty_string_counts_as_left_out(
    tool: Any, data: st.DataObject
) -> None:
    schema = mcp_tool(tool).input_schema
    given_: dict[str, Any] = {name: NEEDED[name] for name in schema.get("required", ())}
    given_ |= ALSO_NEEDED.get(tool.name, {})
    optional = sorted(schema["properties"].keys() - given_)
    blank = data.draw(st.dictionaries(st.sampled_from(optional), st.sampled_from([None, ""]))) if optional else {}

    assert parse_arguments(tool, {**given_, **blank}) == parse_arguments(tool, given_)
