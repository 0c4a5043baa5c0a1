"""Descriptions and hints contain only names that a client can use."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
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
from maas_mcp.plugins.registry import HOST_TOOLS
from maas_mcp.plugins.schemas import output_schema
from maas_mcp.server.instructions import VERBS, instructions_for
from maas_mcp.server.tools import mcp_tool
from maas_mcp.settings import Settings
from tests.own_plugins import own_tools

for plugin in ("maas_commission", "maas_configure", "maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)

ROOT: Final = Path(__file__).parents[4]
SERVED: Final = own_tools()
TOOLS: Final = {tool.name: mcp_tool(tool) for tool in SERVED.values()}
MAAS_TERMS: Final[Mapping[str, frozenset[str]]] = {
    "architectures": frozenset({"amd64", "amd64/generic", "amd64/ga-24.04"}),
    "images and kernels": frozenset({"jammy", "ubuntu/noble", "custom/NAME", "ga-22.04", "hwe-22.04"}),
    "types of images, as MAAS shows them": frozenset({"Synced", "Uploaded"}),
    "MAAS's syntax of constraints": frozenset(
        {"cidr:10.0.0.0/24", "space:NAME", "LABEL:GB(TAG,…),…", "root:50(ssd)", "LABEL:KEY=VALUE,…;…", "lan:space=dmz"}
    ),
    "values that our own arguments accept": frozenset({"none", "12h"}),
    "power types and parameters": frozenset({"ipmi", "redfish", "manual", "power_address", "power_user", "power_pass"}),
    "interfaces, modes of bonds and disks": frozenset({"active-backup", "802.3ad", "sda"}),
    "scripts": frozenset({"fio", "badblocks-destructive", '["none"]'}),
    "status of a released machine that was deleted": frozenset({"Deleted"}),
}
"""Allowed terms in backticks that are not names of ours: examples of values that MAAS accepts or shows."""
NO_TOOLS: Final = {"maas_says", "maas_error", "maas_region", "maas_world", *Settings.model_fields}
"""Names that only look like tools: a field and a code of errors, fixtures of the pytest plugin, and settings."""
PACKAGES: Final = re.compile(r"maas_(mcp|deploy|commission|configure|inventory|simulator)\b|maas_mcp_\w+")
"""Importable names and hooks."""

SUGGESTED: Final = (exit_rescue_mode, mark_fixed, override_failed_testing, query_power_state, unlock)
"""The steps on a machine."""

_QUOTED: Final = re.compile(r"`([^`]+)`")
_NAMED: Final = re.compile(r"\bmaas_[a-z]\w*", re.ASCII)


def inside(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and all nested schemas."""
    if isinstance(schema, dict):
        yield schema
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from inside(each)


def parts(name: str) -> list[Mapping[str, Any]]:
    return [*inside(TOOLS[name].input_schema), *inside(output_schema(SERVED[name].returns))]


def descriptions(name: str) -> list[str]:
    """All texts of a tool that a model reads."""
    reported = [each["description"] for each in parts(name) if isinstance(each.get("description"), str)]
    return [TOOLS[name].description or "", TOOLS[name].title or "", *reported]


def values() -> set[str]:
    """Names of tools, arguments and result fields, enum values, and statuses."""
    every = [part for name in TOOLS for part in parts(name)]
    fields = {name for part in every if isinstance(part.get("properties"), dict) for name in part["properties"]}
    listed = {value for part in every for value in [*part.get("enum", ()), part.get("const")]}
    statuses = {name for status in MachineStatus for name in (status.display, status.filter_value)}
    return {*TOOLS, *fields, *listed, *statuses}


@dataclass(frozen=True)
class Written:
    """A string in a module."""

    text: str
    line: int
    documents: bool
    """Whether it is a docstring."""


@cache
def written(path: Path) -> list[Written]:
    """The strings of a module."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    documented = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return [
        Written(node.value, node.lineno, id(node) in documented)
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def sources() -> list[Path]:
    core = ROOT / "core/src/maas_mcp"
    modules = list(core.rglob("*.py"))
    return [*modules, *ROOT.glob("plugins/*/src/**/*.py")]


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_every_name_in_a_description_exists(tool: str) -> None:
    known = values() | {term for terms in MAAS_TERMS.values() for term in terms}
    texts = descriptions(tool)
    assert {name for text in texts for name in _QUOTED.findall(text)} <= known
    assert {name for text in texts for name in _NAMED.findall(text)} <= set(TOOLS)


def test_every_tool_in_the_instructions_exists() -> None:
    instructions = instructions_for(SERVED)
    assert set(_NAMED.findall(instructions)) == {"maas_list_machines", "maas_wait_operation"}
    assert set(_QUOTED.findall(instructions)) <= values()


def test_the_instructions_name_each_change_that_a_served_tool_makes() -> None:
    instructions = instructions_for(SERVED)
    assert [verb for verb, _ in VERBS if verb not in instructions] == []

    powering = instructions_for({name: tool for name, tool in SERVED.items() if name.startswith("maas_power")})
    assert "list, power on or off and reboot them" in powering
    assert "deploy" not in powering.lower()


def test_the_instructions_of_a_server_that_only_reads_mention_no_change() -> None:
    instructions = instructions_for({name: tool for name, tool in SERVED.items() if tool.read_only})
    assert "Changes nothing" in instructions
    assert "maas_list_machines" in instructions
    assert "minutes to hours" not in instructions
    assert [word for verb, word in VERBS if re.search(rf"\b{word}\b", instructions)] == []


def test_the_core_names_no_tool_of_a_plugin() -> None:
    of_plugins = set(SERVED) - HOST_TOOLS
    core = ROOT / "core/src/maas_mcp"
    named = {
        f"{name} in {path.relative_to(ROOT)}:{string.line}"
        for path in core.rglob("*.py")
        if path.parent != core / "cli"  # its examples and its demo call tools of the project's own plugins
        for string in written(path)
        for name in _NAMED.findall(string.text)
        if name in of_plugins
    }
    assert named == set()


def test_every_step_that_the_host_suggests_is_a_call_of_one_of_our_tools() -> None:
    on_machine = [read_machine("4y3h7n", "Read it"), *(make("4y3h7n") for make in SUGGESTED)]
    for suggested in (FIND_OPERATION, LIST_MACHINES, *on_machine):
        (step,) = resolve_steps([suggested], SERVED)
        arguments = SERVED[step.tool].arguments.model_validate(step.arguments)
        assert arguments.model_dump(exclude_unset=True) == step.arguments


def test_every_tool_in_a_hint_or_message_exists() -> None:
    named = {
        f"{name} in {path.relative_to(ROOT)}:{string.line}"
        for path in sources()
        for string in written(path)
        if not string.documents
        for name in _NAMED.findall(string.text)
        if name not in TOOLS and name not in NO_TOOLS and not PACKAGES.fullmatch(name)
    }
    assert named == set()


def test_every_tool_in_the_documentation_exists() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
    named = {
        f"{name} in {page.relative_to(ROOT)}"
        for page in pages
        for name in _NAMED.findall(page.read_text())
        if name not in TOOLS and name not in NO_TOOLS and not PACKAGES.fullmatch(name)
    }
    assert named == set()


def test_every_allowed_maas_term_is_used() -> None:
    quoted = {name for tool in TOOLS for text in descriptions(tool) for name in _QUOTED.findall(text)}
    assert {term for terms in MAAS_TERMS.values() for term in terms} <= quoted


def test_the_list_has_the_filters_of_the_tools_that_choose_machines() -> None:
    listed = set(TOOLS["maas_list_machines"].input_schema["properties"])
    chosen = {
        name
        for tool in ("maas_allocate_machine", "maas_deploy_machine", "maas_deploy_machines")
        for name in TOOLS[tool].input_schema["properties"]
    }
    assert {"zone", "pool", "tags", "agent_name"} <= chosen & listed


def test_every_argument_described_as_a_list_label_is_a_filter_of_the_list() -> None:
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
def test_a_filter_has_the_same_type_in_every_tool(tool: str) -> None:
    here, listed = (TOOLS[name].input_schema["properties"] for name in (tool, "maas_list_machines"))
    shared = (here.keys() & listed.keys()) - {"limit"}
    assert {name: here[name]["type"] for name in shared} == {name: listed[name]["type"] for name in shared}


@pytest.mark.parametrize("status", MachineStatus)
def test_the_list_accepts_every_status_that_it_shows(status: MachineStatus) -> None:
    model = type(SERVED["maas_list_machines"]).arguments
    shown = Machine.from_response({"system_id": "7xneda", "status": int(status)}).status_name
    assert model.model_validate({"status": [shown]}).model_dump()["status"] == [status.filter_value]
