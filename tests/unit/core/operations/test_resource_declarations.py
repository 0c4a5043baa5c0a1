"""Declarations of resources and completions: a class that cannot work raises at its definition, with the correction."""

import string
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.api import Choice, Completion, Resource, ToolContext
from maas_mcp.operations.declaring.uri_template import UriTemplate


def declare(**body: Any) -> type[Resource]:
    async def read(self: Resource, ctx: ToolContext, rack: str) -> str:  # noqa: ARG001 - the host passes it
        return rack

    given = {"__doc__": "A rack.", "uri": "acme://racks/{rack}", "name": "rack", "read": read, **body}
    return type("Rack", (Resource,), given)


async def without_variable(self: Resource, ctx: ToolContext) -> str:  # noqa: ARG001 - as above
    return ""


def plain(self: Resource, ctx: ToolContext, rack: str) -> str:  # noqa: ARG001 - as above
    return rack


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"uri": 7}, r"Rack.uri: expected a string, but it is 7"),
        (
            {"uri": "racks/{rack}"},
            r'Rack.uri: expected a URI with variables such as {system_id}: "acme://racks/{rack}"',
        ),
        ({"uri": "acme://{rack*}"}, r"expected a URI with variables"),
        ({"uri": "acme://{a}{b}"}, r"variables with different names and with text between them"),
        ({"uri": "acme://{a}/{a}"}, r"variables with different names"),
        ({"name": ""}, r"Rack.name: expected a string"),
        ({"mime_type": None}, r"Rack.mime_type: expected a string, but it is None"),
        ({"__doc__": ""}, r"Rack: expected a docstring"),
        ({"read": plain}, r"Write `async def read\(self, ctx, rack\)`"),
        ({"read": without_variable}, r"a parameter for each variable of .* Write `async def read\(self, ctx, rack\)`"),
    ],
)
def test_an_unusable_resource_raises_with_the_correction(body: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        declare(**body)


def test_a_class_without_a_uri_is_an_abstract_base() -> None:
    class Base(Resource):
        async def read(self, ctx: ToolContext) -> str:  # noqa: ARG002 - as above
            return ""

    assert not hasattr(Base, "template")


@pytest.mark.parametrize("arguments", [None, (), "zone", [7]])
def test_a_completion_without_arguments_raises_with_the_correction(arguments: object) -> None:
    async def choices(self: Completion, ctx: ToolContext) -> Sequence[str]:  # noqa: ARG001 - as above
        return []

    with pytest.raises(TypeError, match=r'Write `arguments = \("zone",\)` in the class'):
        type("Zones", (Completion,), {"arguments": arguments, "choices": choices})


def test_a_resource_with_a_system_id_is_updated_by_its_machine_and_no_other() -> None:
    async def read(self: Resource, ctx: ToolContext, system_id: str) -> str:  # noqa: ARG001 - as above
        return system_id

    resource = declare(uri="acme://bmc/{system_id}/log", read=read)()
    assert resource.updated_by({"system_id": "7xneda", "operation_id": "x"}) == ("acme://bmc/7xneda/log",)
    assert resource.updated_by({"operation_id": "x"}) == ()
    assert declare()().updated_by({"system_id": "7xneda"}) == ()


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_values_of_an_expanded_template_are_found_again(rack: str, unit: str) -> None:
    template = UriTemplate("acme://racks/{rack}/units/{unit}")
    assert template.match(template.expand({"rack": rack, "unit": unit})) == {"rack": rack, "unit": unit}


@given(st.text(string.printable))
def test_a_value_never_spans_a_slash(tail: str) -> None:
    found = UriTemplate("acme://racks/{rack}").match(f"acme://racks/{tail}")
    assert (found is None) is (not tail or any(each in tail for each in "/?#"))


@pytest.mark.parametrize(("typed", "matches"), [("", True), ("NODE", True), ("7x", True), ("ode", False)])
def test_a_choice_matches_the_beginning_of_its_value_or_names_in_any_case(typed: str, *, matches: bool) -> None:
    assert Choice("7xneda", ("node01",)).matches(typed) is matches
