"""Sections of the reference generated from the code, as MyST Markdown: settings, commands, tools and errors."""

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import click
from docs._ext import simulator, tool_policy

from maas_mcp import errors
from maas_mcp.api import EventPolling, LongRunning, MachineStatus, Operation, ScriptPolling, Verdict
from maas_mcp.cli import main
from maas_mcp.plugins.portability import PAIR
from maas_mcp.plugins.registry import AnyTool, load_registry
from maas_mcp.plugins.schemas import output_schema
from maas_mcp.plugins.skills import read_skills
from maas_mcp.plugins.validation import added_options
from maas_mcp.policy.configuration import Policy
from maas_mcp.server.loaded_tools import served_tools
from maas_mcp.server.tools import mcp_tool
from maas_mcp.settings import Settings, variable_name
from maas_simulator.cli import main as simulator_main

Schema = Mapping[str, Any]


def settings() -> str:
    """Return a table of all settings."""
    schemas = Settings.model_json_schema(by_alias=False)["properties"]
    return _table(
        ("Variable", "In the file", "Value", "Default", "Meaning"),
        (
            (
                f"`{variable_name(name)}`",
                f"`{name}`",
                _setting_value(schemas[name]),
                _setting_default(schemas[name]),
                schemas[name]["description"],
            )
            for name in Settings.model_fields
        ),
    )


def policy() -> str:
    """Return a table of all keys of the table ``[policy]``."""
    schema = Policy.model_json_schema()
    return _table(("Key", "Value", "Default", "Meaning"), _policy_rows(schema, schema["$defs"]))


def _policy_rows(table: Schema, tables: Mapping[str, Schema], prefix: str = "") -> Iterator[tuple[str, ...]]:
    for name, schema in table["properties"].items():
        below = {"": schema, "NAME.": schema.get("additionalProperties", {}), "N.": schema.get("items", {})}
        for placeholder, each in below.items():
            if "$ref" in each:
                inner = tables[each["$ref"].rpartition("/")[2]]
                yield from _policy_rows(inner, tables, f"{prefix}{name}.{placeholder}")
                break
        else:
            required = name in table.get("required", ())
            default = "required" if required else _policy_default(schema.get("default"))
            yield f"`{prefix}{name}`", _policy_value(schema), default, schema["description"]


def _policy_default(default: object) -> str:
    return f"`{json.dumps(default)}`" if default not in (None, "", []) else "none"


def _policy_value(schema: Schema) -> str:
    kinds = [each for each in schema.get("anyOf", (schema,)) if each.get("type") != "null"]
    if len(kinds) > 1:
        return "a date with time, or a time of day"
    (kind,) = kinds
    if allowed := kind.get("enum") or kind.get("items", {}).get("enum"):
        shown = ", ".join(f"`{each}`" for each in allowed)
        return f"a list of {shown}" if kind["type"] == "array" else shown
    return {"array": "a list of names", "boolean": "`true` or `false`", "integer": "a whole number"}.get(
        kind["type"], "text"
    )


def commands() -> str:
    """Return every command with its options."""
    return "\n\n".join(part for context in command_contexts() for part in _command(context))


def command_contexts() -> Iterator[click.Context]:
    """Yield contexts of the program and of each command."""
    group: Any = main
    program = group.make_context("maas-mcp", [], resilient_parsing=True)
    yield program
    yield from _contexts_below(group, program)


def _contexts_below(group: Any, parent: click.Context) -> Iterator[click.Context]:
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        context = command.make_context(name, [], parent=parent, resilient_parsing=True)
        yield context
        if isinstance(command, click.Group):
            yield from _contexts_below(command, context)


def simulator_command() -> str:
    """Return the simulator's command with its options."""
    return "\n\n".join(_command(simulator_main.make_context("maas-simulator", [], resilient_parsing=True)))


def tools() -> str:
    """Return the short tools of the host and of the project's plugins."""
    short = [(tool, owner) for tool, owner in _served() if not isinstance(tool, LongRunning)]
    return "\n\n".join(part for tool, owner in short for part in (f"## {mcp_tool(tool).title}", *_tool(tool, owner)))


def operations() -> str:
    """Return a table of the long-running tools with links to their pages."""
    return _table(
        ("Tool", "What it does"),
        (
            (f"{{doc}}`{tool.name} <operations/{tool.name}>`", tool.description().splitlines()[0])
            for tool, _ in _served()
            if isinstance(tool, LongRunning)
        ),
    )


def operation_pages() -> Mapping[str, Callable[[], str]]:
    """Return a function for the page of each long-running tool, by the tool's name."""

    def page(tool: AnyTool, owner: str) -> Callable[[], str]:
        return lambda: "\n\n".join(_tool(tool, owner))

    return {tool.name: page(tool, owner) for tool, owner in _served() if isinstance(tool, LongRunning)}


def _served() -> list[tuple[AnyTool, str]]:
    """Return every tool with its distribution, which is empty for the host's tools."""
    registry = load_registry(allow=tool_policy.OWN_PLUGINS, strict=True)
    owners = {tool: record.distribution for record in registry.records for tool in record.tools}
    return [(tool, owners.get(name, "")) for name, tool in served_tools(registry).items()]


def runbooks() -> str:
    """Return a table of the runbooks of the project's plugins."""
    skills, _ = read_skills(load_registry(allow=tool_policy.OWN_PLUGINS, strict=True).skills)
    return _table(
        ("Runbook", "Job", "Arguments"),
        (
            (f"`{skill.name}`", skill.description, ", ".join(f"`{name}`" for name in skill.arguments) or "none")
            for skill in skills
        ),
    )


def error_table() -> str:
    """Return a table of all errors, in the order of the tree."""
    return _table(
        ("Error", "`code`", "`retryable`", "Meaning"),
        (
            (f"`{error.__name__}`", f"`{error.code}`", "yes" if error.retryable else "no", _first_paragraph(error))
            for error in error_classes()
        ),
    )


def error_tree() -> str:
    """Return the tree from the docstring of the module."""
    drawn = [line[4:] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    return "\n".join(["```text", *drawn, "```"])


def error_classes() -> list[type[errors.MaasMcpError]]:
    """Return the error classes, in the order of their definition."""
    return [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.MaasMcpError)]


PARTS: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "commands": commands,
        "control": simulator.control,
        "error-table": error_table,
        "error-tree": error_tree,
        "operations": operations,
        "policy": policy,
        "runbooks": runbooks,
        "settings": settings,
        "simulator-command": simulator_command,
        "tool-policy": tool_policy.tool_policy,
        "tools": tools,
        "world": simulator.world,
        **operation_pages(),
    }
)
"""The arguments of the ``generated`` directive."""


@cache
def part(name: str) -> str:
    """Return one of the sections, generated once."""
    return PARTS[name]()


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = tuple(head)
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def _setting_value(schema: Schema) -> str:
    schema = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    if "$ref" in schema:
        return "a table, or JSON"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("type") in {"number", "integer"}:
        least, most = schema.get("minimum", schema.get("exclusiveMinimum")), schema["maximum"]
        above = "above" if "minimum" not in schema else "from"
        kind = "a number" if schema["type"] == "number" else "a whole number"
        return f"{kind} {above} {least:.10g} to {most:.10g}"
    if schema.get("items", {}).get("format") == "password":
        return "texts, separated by spaces"
    return {"array": "names, separated by commas", "boolean": "`true` or `false`"}.get(schema.get("type", ""), "text")


def _setting_default(schema: Schema) -> str:
    default = schema.get("default")
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, dict):
        return "the defaults of its keys"
    return f"`{default:.10g}`" if isinstance(default, float | int) else f"`{default}`" if default else "none"


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"## `{context.command_path}`"
    yield f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        example = paragraph.removeprefix("\b\n")
        yield f"```text\n{example}\n```" if example != paragraph else paragraph
    yield f":::{{program}} {context.command_path}\n:::"
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option):
            names, explanation = parameter.get_help_record(context) or ("", "")
            yield f":::{{option}} {names}\n{explanation.replace('[', chr(92) + '[')}\n:::"


def _tool(tool: AnyTool, distribution: str) -> Iterator[str]:
    shown = mcp_tool(tool)
    yield f"::::{{mcptool}} {tool.name}"
    yield tool.description()
    yield f"{_hints(tool)} From {f'the plugin `{distribution}`' if distribution else 'the host'}."
    yield "**Arguments**"
    yield _properties(shown.input_schema, hidden=set(added_options(tool)))
    unusable = {"_meta", *(() if isinstance(tool, LongRunning) and tool.can_abort else ("on_cancel",))}
    if options := [f"`{name}`" for name in added_options(tool) if name not in unusable]:
        ends = " It cannot be aborted." if isinstance(tool, LongRunning) and not tool.can_abort else ""
        yield f"Also: {', '.join(options)}.{ends}"
    yield "**Result**"
    yield _properties(output_schema(tool.returns))
    if isinstance(tool, Operation):
        yield from _operation(tool)
    yield "::::"


def _hints(tool: AnyTool) -> str:
    if tool.read_only:
        return "Read-only."
    return "Destructive." if tool.destructive else "Changes MAAS."


def _properties(schema: Schema, hidden: Iterable[str] = ()) -> str:
    required = schema.get("required", [])
    rows = []
    for name, each in schema["properties"].items():
        if name in hidden:
            continue
        allowed = each.get("enum") or each.get("items", {}).get("enum")
        said = [each.get("description", ""), f"One of: {', '.join(f'`{one}`' for one in allowed)}." if allowed else ""]
        if "default" in each:
            said.append(f"Default: `{str(each['default']).lower()}`.")
        if hidden and name in required:
            said.insert(0, "Required.")
        rows.append((f"`{name}`", _json_type(each), " ".join(filter(None, said))))
    return _table(("Name", "Type", "Meaning"), rows)


def _json_type(schema: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(_json_type(each) for each in schema["anyOf"])
    kind = schema.get("type", "any")
    if kind == "array":
        items = schema.get("items", {})
        pairs = items.get("properties", {}).keys() == set(PAIR)
        return "list of names and values" if pairs else f"list of {_json_type(items)}s"
    return str(kind)


def _operation(operation: Operation[Any, Any]) -> Iterator[str]:
    lifecycle = operation.lifecycle
    hours = operation.deadline.total_seconds() / 3600
    yield "**Statuses**"
    yield _table(
        ("Starts from", "Pending", "Success", "Failure"),
        [[_statuses(each) for each in (lifecycle.start_from, lifecycle.pending, lifecycle.success, lifecycle.failure)]],
    )
    if lifecycle.gone is Verdict.SUCCEEDED:
        yield "It also succeeds if MAAS has deleted the machine and it was a virtual one on a VM host."
    yield f"Deadline: {hours:g} hours."
    if isinstance(operation.polling, EventPolling | ScriptPolling):
        yield "**Milestones**"
        yield _table(
            ("Progress", "MAAS's event", "Shown as"),
            (
                (
                    f"{phase.fraction:.0%}",
                    phase.event + (f": {phase.description}" if phase.description else ""),
                    phase.message or phase.event,
                )
                for phase in operation.polling.phases
            ),
        )
    if isinstance(operation.polling, ScriptPolling):
        sets = " and ".join(sorted(name.removeprefix("current-") for name in operation.polling.needs.script_sets))
        yield f"The {sets} scripts are the last {operation.polling.share:.0%}, by MAAS's estimate for each."


def _statuses(statuses: Iterable[MachineStatus]) -> str:
    return ", ".join(status.display for status in sorted(statuses))


def _first_paragraph(documented: type) -> str:
    return (documented.__doc__ or "").split("\n\n")[0].replace("``", "`")
