"""Other projects' clients accept the tools' schemas."""

from collections.abc import Iterator
from typing import Any

import mcp_types
import pytest
from google.genai._mcp_utils import mcp_to_gemini_tool
from mcp_strict_check import rules

from maas_mcp.api import Tool, ToolContext
from maas_mcp.calls.arguments import ClientFeatures
from maas_mcp.server.tools import mcp_tool
from tests.own_plugins import own_tools
from tests.unit.core.server.declared import Forms, Result


class Foreign(Tool[Forms, Result]):
    """A third party's tool with a field of every type."""

    name = "maas_foreign"

    async def run(self, _ctx: ToolContext, _args: Forms) -> Result:
        return Result(system_id="4y3h7n", note=None)


TOOLS = {**own_tools(), "maas_foreign": Foreign()}


@pytest.fixture(params=[True, False], ids=["2024-11-05", "newer"])
def features(request: pytest.FixtureRequest) -> ClientFeatures:
    return ClientFeatures(meta_argument=request.param)


@pytest.fixture(params=TOOLS)
def shown(request: pytest.FixtureRequest, features: ClientFeatures) -> mcp_types.Tool:
    """Each tool in the form that clients receive."""
    return mcp_tool(TOOLS[request.param], features)


def schemas(schema: Any) -> Iterator[Any]:
    """A Gemini schema and all nested schemas."""
    yield schema
    for each in (
        *(schema.properties or {}).values(),
        *(schema.any_of or ()),
        *([schema.items] if schema.items else ()),
    ):
        yield from schemas(each)


def test_geminis_sdk_converts_every_tool_to_a_form_that_its_api_accepts(shown: mcp_types.Tool) -> None:
    declarations: list[Any] = mcp_to_gemini_tool(shown).function_declarations or []

    (declared,) = declarations
    for schema in schemas(declared.parameters):
        kind = schema.type and schema.type.value
        assert kind or schema.any_of, "a value without a type"
        assert kind != "OBJECT" or schema.properties, "should be non-empty for OBJECT type"
        assert kind != "ARRAY" or schema.items, "items: missing field"
        assert not schema.enum or kind == "STRING", "enum only allowed for STRING type"
        assert schema.format in {None, "date-time"}, "only 'enum' and 'date-time' are supported for STRING type"


def test_no_mode_of_openai_or_anthropic_refuses_a_tool(shown: mcp_types.Tool) -> None:
    tool = shown.model_dump(mode="json", by_alias=True, exclude_none=True)

    assert rules.check_A(tool) == []
    refused_by_openai, _ = rules.check_B(tool)
    assert refused_by_openai == []
    refused_always, refused_if_strict, _, _ = rules.check_C(tool)
    assert refused_always == []
    # Anthropic's strict mode accepts at most 20 tools and 24 optional arguments, which this server exceeds. Its SDK
    # moves limits into the description. Other clients support them directly.
    assert {code.rpartition(":")[2] for code, _, _ in refused_if_strict} <= {
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
    }
