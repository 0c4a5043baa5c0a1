"""``maas-mcp policy``: shows the policy in effect, and explains its response to a call."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from maas_mcp.calls.arguments import ClientFeatures
from maas_mcp.calls.principal import LOCAL, Scope
from maas_mcp.cli.common import EXIT_CODES, print_text
from maas_mcp.cli.interrupt import run
from maas_mcp.cli.stdout import reserve_stdout
from maas_mcp.credentials.regions import LocalRegions
from maas_mcp.errors import MaasMcpError
from maas_mcp.plugins.registry import Registry, load_registry
from maas_mcp.policy.judgement import Finding, Verdict
from maas_mcp.policy.limits import LIMITS
from maas_mcp.settings import Settings, find_misnamed_variables, plugin_tables

if TYPE_CHECKING:
    from maas_mcp.calls.guard import Judgement
    from maas_mcp.calls.served import Served, Serving

EXIT_REFUSED: Final = 3
"""The policy refuses the call."""


@click.group("policy", epilog=EXIT_CODES)
def command() -> None:
    """Show the server's policy, and explain its response to a call."""


@command.command("show", epilog=EXIT_CODES)
@click.option("--mode", help="Show this mode. By default MAAS_MCP_MODE, or standard.")
def show(*, mode: str | None) -> None:
    """Show the policy in effect.

    Prints the modes, the rules, and the served tools by toolset. Needs no MAAS region.
    """
    with reserve_stdout() as stdout:
        settings, registry = _load(mode)
        tools, warnings = serving(settings, registry)
        misnamed = [
            f"{name} is not a setting. Did you mean {meant}?" for name, meant in find_misnamed_variables().items()
        ]
        for warning in (*misnamed, *warnings):
            print_text(warning, err=True)
        for line in describe_policy(settings, tools):
            print_text(line, to=stdout)


@command.command("explain", epilog=EXIT_CODES.replace("130 ", f"{EXIT_REFUSED} the policy refuses the call; 130 "))
@click.argument("tool")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--mode", help="Judge by this mode. By default MAAS_MCP_MODE, or standard.")
@click.option(
    "--scope",
    type=click.Choice([str(each) for each in Scope]),
    default=str(Scope.DESTROY),
    show_default=True,
    help="Judge for a caller with this scope.",
)
def explain(*, tool: str, pairs: tuple[str, ...], mode: str | None, scope: str) -> None:
    """Explain the policy's response to a call.

    Prints the response of each rule, first that of the rule that decides. Reads the machines that the call names, and
    changes nothing in MAAS. Takes arguments as `maas-mcp call` does.

    \b
    maas-mcp policy explain maas_release_machine system_id=4y3h7n erase=true
    """  # noqa: D301 - \b keeps click from wrapping the paragraph
    from maas_mcp.cli import arguments  # noqa: PLC0415 - the MCP SDK, which --help does not need
    from maas_mcp.server.tools import mcp_tool  # noqa: PLC0415 - likewise

    with reserve_stdout() as stdout:
        settings, registry = _load(mode)
        tools, _warnings = serving(settings, registry)
        regions = LocalRegions(settings).names
        published = {name: mcp_tool(each, ClientFeatures(), regions) for name, each in tools.tools.items()}
        given = arguments.parse(arguments.find_tool(published, tool), pairs)
        question = _Question(tool, given, Scope(scope))
        judgement, served = run(partial(question.answer, settings, registry, tools))
        for line in describe_judgement(judgement, served):
            print_text(line, to=stdout, indent="  ")
    sys.exit(EXIT_REFUSED if judgement.decision.verdict is Verdict.REFUSE else 0)


def serving(settings: Settings, registry: Registry) -> "tuple[Serving, list[str]]":
    """The tools of the server with the selections that apply to them, and a sentence for each name that has no effect.

    Raises:
        SettingsError: The settings name a toolset or a limit that does not exist.
    """
    from maas_mcp.calls.served import Serving  # noqa: PLC0415 - with the server
    from maas_mcp.server.loaded_tools import served_tools, toolsets_of  # noqa: PLC0415 - the MCP SDK
    from maas_mcp.server.named_tools import check_names  # noqa: PLC0415 - likewise

    warnings = check_names(settings, registry)
    return Serving(served_tools(registry), toolsets_of(registry), [settings.selection]), warnings


def _load(mode: str | None) -> tuple[Settings, Registry]:
    settings = Settings.load(**({} if mode is None else {"mode": mode}))
    registry = load_registry(allow=settings.plugins_allow, block=settings.plugins_block, tables=plugin_tables())
    return settings, registry


@dataclass(frozen=True, slots=True)
class _Question:
    """A call to explain."""

    tool: str
    arguments: Mapping[str, Any]
    scope: Scope

    async def answer(self, settings: Settings, registry: Registry, tools: "Serving") -> "tuple[Judgement, Served]":
        """Judge the call, and return the tools that its caller can use."""
        from maas_mcp.calls.explaining import explain_call  # noqa: PLC0415 - with the server
        from maas_mcp.calls.host import open_host  # noqa: PLC0415 - with the server
        from maas_mcp.server.narrowing import user_selections  # noqa: PLC0415 - with the server

        async with open_host(settings, tools.tools) as host:
            host.serve(tools.tools, tools)
            host.plugins.use(registry.plugins)
            served = tools.select(*await user_selections(host, LOCAL))
            connection = host.connections.connect(LOCAL)
            scopes = frozenset({self.scope})
            tool = tools.tools[self.tool]
            try:
                judgement = await explain_call(
                    host, tool, self.arguments, connection=connection, scopes=scopes, served=served
                )
            except MaasMcpError as error:
                problem = error
            else:
                return judgement, served
        raise problem  # outside the host's task groups, which would wrap it


def describe_judgement(judgement: "Judgement", served: "Served") -> Iterator[str]:
    """Describe the response to a call: the deciding rule first, then the others."""
    call, decision = judgement.call, judgement.decision
    refused = call.tool in served.refused
    yield f"{call.tool}: {_name(decision.verdict)}, by the rule {decision.rule}"
    yield f"Tier: {call.tier}. Mode: {call.mode}. Served: {'no' if refused else 'yes'}."
    if call.machines:
        shown = (f"{each.hostname} ({each.system_id}, {each.status_name})" for each in call.machines)
        yield f"Machines: {', '.join(shown)}."
    for finding in sorted(judgement.findings, key=lambda each: each is not decision):
        yield f"{'>' if finding is decision else '-'} {_describe(finding)}"


def _describe(finding: Finding) -> str:
    return " ".join(filter(None, [f"{finding.rule}: {_name(finding.verdict)}.", finding.reason, finding.hint]))


def _name(verdict: Verdict) -> str:
    return verdict.name.lower()


def describe_policy(settings: Settings, tools: "Serving") -> Iterator[str]:
    """Describe the policy: the modes, the rules, and the tools."""
    policy = settings.policy
    for name in policy.mode_names:
        mode = policy.mode(name)
        yield (
            f"{'>' if name == settings.mode else '-'} mode {name}: operate {mode.operate}, destroy {mode.destroy}"
            f"{', serves only tools that cannot change MAAS' if mode.reads_only else ''}"
        )
    rules = policy.model_dump(mode="json", exclude={"modes"})
    limits = {name: policy.limit(name) for name in sorted({*LIMITS, *policy.limits})}
    rules["limits"] = {name: limit.model_dump(exclude_none=True) for name, limit in limits.items()}
    yield from (f"{key} = {json.dumps(value)}" for key, value in _flat(rules))
    for name in ("toolsets", "tools_allow", "tools_block", "admin_tools"):
        yield f"{name} = {json.dumps(getattr(settings, name))}"
    served = tools.select()
    yield f"{len(served.tools)} of {len(tools.tools)} tools are served."
    for toolset in sorted(tools.toolsets):
        names = tools.names_in(toolset)
        yield f"toolset {toolset}: {', '.join(each for each in names if each in served.tools) or 'none'}"
    for name, finding in served.refused.items():
        yield f"not served: {name}, by the rule {finding.rule}"


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
