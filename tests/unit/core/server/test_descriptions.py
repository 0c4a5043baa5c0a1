"""What descriptions and hints promise: every name in them is one that a client can use."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from maas_mcp.calls.next_steps import resolve_steps
from maas_mcp.maas.models import Machine
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.next_steps import (
    FIND_OPERATION,
    LIST_MACHINES,
    exit_rescue_mode,
    mark_fixed,
    override_failed_testing,
    query_power_state,
    read_machine,
    unlock,
)
from maas_mcp.plugins.registry import HOST_TOOLS, load_registry
from maas_mcp.server.app import INSTRUCTIONS, instructions_for, served_tools
from maas_mcp.server.tools import mcp_tool
from maas_mcp.settings import Settings

for plugin in ("maas_commission", "maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)

ROOT: Final = Path(__file__).parents[4]
SERVED: Final = served_tools(load_registry(allow=("commission", "deploy", "inventory"), strict=True))
TOOLS: Final = {tool.name: mcp_tool(tool) for tool in SERVED.values()}
MAAS_TERMS: Final[Mapping[str, frozenset[str]]] = {
    "architectures": frozenset({"amd64", "amd64/generic", "amd64/ga-24.04"}),
    "images and kernels": frozenset({"jammy", "ubuntu/noble", "custom/NAME", "ga-22.04", "hwe-22.04"}),
    "types of images, as MAAS shows them": frozenset({"Synced", "Uploaded"}),
    "MAAS's syntax of constraints": frozenset(
        {"cidr:10.0.0.0/24", "space:NAME", "LABEL:GB(TAG,…),…", "root:50(ssd)", "LABEL:KEY=VALUE,…;…", "lan:space=dmz"}
    ),
    "scripts, and a parameter of one": frozenset(
        {"fio", "badblocks-destructive", "smartctl-short_storage", '["none"]'}
    ),
    "what a released machine is called that is no longer there": frozenset({"Deleted"}),
}
"""What stands in backticks and is no name of ours: what MAAS takes or shows, as examples of a value."""
NO_TOOLS: Final = {"maas_says", "maas_error", "maas_region", "maas_world", *Settings.model_fields}
"""A field and a code of errors, the fixtures of the pytest plugin, and settings: they are named as tools are."""
PACKAGES: Final = re.compile(r"maas_(mcp|deploy|commission|inventory|simulator)\b|maas_mcp_\w+")
"""What can be imported, and hooks."""

SUGGESTED: Final = (exit_rescue_mode, mark_fixed, override_failed_testing, query_power_state, unlock)
"""The steps on a machine."""

_QUOTED: Final = re.compile(r"`([^`]+)`")
_NAMED: Final = re.compile(r"\bmaas_[a-z]\w*", re.ASCII)


def inside(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema, and all that are in it."""
    if isinstance(schema, dict):
        yield schema
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from inside(each)


def parts(name: str) -> list[Mapping[str, Any]]:
    return [*inside(TOOLS[name].input_schema), *inside(TOOLS[name].output_schema)]


def descriptions(name: str) -> list[str]:
    """Everything that a model reads of a tool."""
    reported = [each["description"] for each in parts(name) if isinstance(each.get("description"), str)]
    return [TOOLS[name].description or "", TOOLS[name].title or "", *reported]


def values() -> set[str]:
    """Names of tools, of arguments, of fields of results, values that are listed, and statuses."""
    every = [part for name in TOOLS for part in parts(name)]
    fields = {name for part in every if isinstance(part.get("properties"), dict) for name in part["properties"]}
    listed = {value for part in every for value in [*part.get("enum", ()), part.get("const")]}
    statuses = {name for status in MachineStatus for name in (status.display, status.filter_value)}
    return {*TOOLS, *fields, *listed, *statuses}


def reported(path: Path) -> Iterator[tuple[str, int]]:
    """The texts of a module that are no docstrings, each with its line."""
    tree = ast.parse(path.read_text())
    documented = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value, node.lineno


def sources() -> list[Path]:
    core = ROOT / "core/src/maas_mcp"
    modules = list(core.rglob("*.py"))
    return [*modules, *ROOT.glob("plugins/*/src/**/*.py")]


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_every_name_in_a_description_is_one_that_can_be_used(tool: str) -> None:
    known = values() | {term for terms in MAAS_TERMS.values() for term in terms}
    texts = descriptions(tool)
    assert {name for text in texts for name in _QUOTED.findall(text)} <= known
    assert {name for text in texts for name in _NAMED.findall(text)} <= set(TOOLS)


def test_every_tool_that_the_instructions_name_is_there() -> None:
    instructions = instructions_for(SERVED)
    assert set(_NAMED.findall(instructions)) == {"maas_list_machines", "maas_wait_operation"}
    assert set(_QUOTED.findall(instructions)) <= values()


def test_a_part_of_the_instructions_is_left_out_where_its_tool_is_not_served() -> None:
    assert instructions_for({}) == " ".join(text for text, tool in INSTRUCTIONS if tool is None)
    assert "{" not in instructions_for({})


def test_the_core_names_no_tool_of_a_plugin() -> None:
    of_plugins = set(SERVED) - HOST_TOOLS
    core = ROOT / "core/src/maas_mcp"
    named = {
        f"{name} in {path.relative_to(ROOT)}:{node.lineno}"
        for path in core.rglob("*.py")
        if path.parent != core / "cli"  # its examples and its demonstration are calls of the project's own plugins
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for name in _NAMED.findall(node.value)
        if name in of_plugins
    }
    assert named == set()


def test_every_step_that_the_host_suggests_is_a_call_of_one_of_our_tools() -> None:
    on_machine = [read_machine("4y3h7n", "Read it"), *(make("4y3h7n") for make in SUGGESTED)]
    for suggested in (FIND_OPERATION, LIST_MACHINES, *on_machine):
        (step,) = resolve_steps([suggested], SERVED)
        arguments = SERVED[step.tool].arguments.model_validate(step.arguments)
        assert arguments.model_dump(exclude_unset=True) == step.arguments


def test_every_tool_that_a_hint_or_a_message_names_is_there() -> None:
    named = {
        f"{name} in {path.relative_to(ROOT)}:{line}"
        for path in sources()
        for text, line in reported(path)
        for name in _NAMED.findall(text)
        if name not in TOOLS and name not in NO_TOOLS and not PACKAGES.fullmatch(name)
    }
    assert named == set()


def test_every_tool_that_the_documentation_names_is_there() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
    named = {
        f"{name} in {page.relative_to(ROOT)}"
        for page in pages
        for name in _NAMED.findall(page.read_text())
        if name not in TOOLS and name not in NO_TOOLS and not PACKAGES.fullmatch(name)
    }
    assert named == set()


def test_what_is_allowed_as_a_term_of_maas_is_used() -> None:
    quoted = {name for tool in TOOLS for text in descriptions(tool) for name in _QUOTED.findall(text)}
    assert {term for terms in MAAS_TERMS.values() for term in terms} <= quoted


def test_what_a_machine_is_chosen_by_the_list_can_be_filtered_by() -> None:
    listed = set(TOOLS["maas_list_machines"].input_schema["properties"])
    chosen = {
        name
        for tool in ("maas_allocate_machine", "maas_deploy_machine", "maas_deploy_machines")
        for name in TOOLS[tool].input_schema["properties"]
    }
    assert {"zone", "pool", "tags", "agent_name"} <= chosen & listed


def test_every_argument_that_is_said_to_be_listed_by_is_a_filter_of_the_list() -> None:
    listed = set(TOOLS["maas_list_machines"].input_schema["properties"])
    promised = {
        name
        for tool in TOOLS.values()
        for name, argument in tool.input_schema["properties"].items()
        if "listed by" in argument.get("description", "")
    }
    assert promised == {"agent_name"}
    assert promised <= listed


@pytest.mark.parametrize("tool", ["maas_allocate_machine", "maas_deploy_machines"])
def test_a_filter_has_the_same_type_wherever_a_machine_is_chosen_by_it(tool: str) -> None:
    here, listed = (TOOLS[name].input_schema["properties"] for name in (tool, "maas_list_machines"))
    shared = (here.keys() & listed.keys()) - {"limit"}
    assert {name: here[name]["type"] for name in shared} == {name: listed[name]["type"] for name in shared}


@pytest.mark.parametrize("status", MachineStatus)
def test_whatever_the_list_shows_as_a_status_it_takes_as_one(status: MachineStatus) -> None:
    model = next(
        type(tool).arguments
        for tool in served_tools(load_registry(allow=("inventory",), strict=True)).values()
        if tool.name == "maas_list_machines"
    )
    shown = Machine.from_response({"system_id": "7xneda", "status": int(status)}).status_name
    assert model.model_validate({"status": [shown]}).model_dump()["status"] == [status.filter_value]
