"""The registry of plugins. Each is loaded and validated separately, so a failure does not affect the others."""

import logging
import re
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from maas_mcp.errors import PluginError
from maas_mcp.hookspecs import PLUGIN_GROUP
from maas_mcp.operations.declaring.operation_change import OperationChange
from maas_mcp.plugins.contributions import Contributions, check_unique, collect
from maas_mcp.plugins.discovery import FoundPlugin, find, load, variable_of
from maas_mcp.plugins.import_watch import ImportWatch, UserInterrupt
from maas_mcp.plugins.prompts import AnyPrompt, check_prompt_names
from maas_mcp.plugins.validation import (
    AnyTool,
    check_before_import,
    check_names,
    check_publishable,
    did_you_mean,
    register,
)

Observe = Callable[[OperationChange], object]

__all__ = ["AnyTool", "PluginRecord", "PluginState", "Registry", "load_registry"]

logger = logging.getLogger(__name__)

HOST_TOOLS: Final = frozenset(
    {"maas_cancel_operation", "maas_get_operation", "maas_list_operations", "maas_wait_operation"}
)
"""The names of the server's own tools, which plugins must not use."""
ERROR_LENGTH: Final = 600
"""The longest error message in a record, in characters."""


class PluginState(StrEnum):
    """The state of a plugin."""

    LOADED = "loaded"
    FAILED = "failed"
    """The plugin cannot be used; the record's ``error`` has the reason."""
    BLOCKED = "blocked"
    """The configuration excludes the plugin. It was not imported."""


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """The state of one installed plugin."""

    name: str
    distribution: str
    version: str
    state: PluginState
    error: str | None = None
    """The reason in one line, if the plugin failed."""
    tools: tuple[str, ...] = ()
    """The sorted names of its tools and operations; empty if it is not loaded."""
    resources: tuple[str, ...] = ()
    """The URIs and templates of its resources, in its order; empty if it is not loaded."""
    settings: tuple[str, ...] = ()
    """The environment variables of its settings; empty if it is not loaded."""
    skills: tuple[str, ...] = ()
    """The sorted names of its valid skills; empty if the skills were not read."""
    broken_skills: tuple[str, ...] = ()
    """For each invalid skill its path and the reason, in one line; empty if the skills were not read."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The contributions of the plugins, and the state of each plugin."""

    tools: Mapping[str, AnyTool]
    """Tools and operations by name: by plugin, the project's own first, and then sorted by name."""
    records: tuple[PluginRecord, ...]
    """All installed plugins, sorted by name."""
    observers: Mapping[str, Observe] = field(default_factory=dict)
    """The functions that receive the changes of operations, by plugin; a plugin may have none."""
    prompts: Mapping[str, AnyPrompt] = field(default_factory=dict)
    """The prompts that plugins declare in code, by name, sorted."""
    skills: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The packages with skills of each plugin that has some, by the plugin's name, the project's own first."""
    plugins: tuple[Contributions, ...] = ()
    """The contributions of each loaded plugin, this project's own plugins first."""

    @property
    def toolsets(self) -> dict[str, str]:
        """The toolset of each tool, by the tool's name: its own, or else the name of its plugin."""
        owners = {tool.name: each.name for each in self.plugins for tool in each.tools}
        return {name: tool.toolset or owners.get(name, "") for name, tool in self.tools.items()}


def load_registry(
    *,
    allow: Collection[str] = (),
    block: Collection[str] = (),
    strict: bool = False,
    check_skills: bool = False,
    group: str = PLUGIN_GROUP,
    tables: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Registry:
    """Find, import and validate the allowed plugins, and collect their tools.

    Args:
        allow: The names of the plugins to use; empty for all.
        block: The names of plugins never to import. It takes precedence over ``allow``.
        strict: Whether to raise if a plugin or a skill cannot be used.
        check_skills: Whether to read the skills now, for the records. Otherwise they are read when they are used.
        group: The entry point group to search.
        tables: The settings of plugins from the TOML file, by the plugin's name.

    Raises:
        PluginError: With ``strict``, plugins or skills cannot be used. The message names each with its reason.
        UserInterrupt: The user pressed Ctrl-C.
    """
    installed = find(group)
    _warn_of_unknown_names("allow", allow, installed)
    _warn_of_unknown_names("block", block, installed)
    _warn_of_unknown_names("[plugins]", tables, installed)
    wanted = [found for found in installed if found.name not in block and (not allow or found.name in allow)]
    with ImportWatch() as watch:
        plugins, outcomes = _load_each(wanted, watch, tables)
    records = tuple(outcomes.get(found) or _record(found, PluginState.BLOCKED) for found in installed)
    skills = {each.name: each.skills for each in plugins if each.skills}
    if strict or check_skills:
        records = _with_skills(records, skills)
    if strict:
        _raise_for_failures(records)
    tools = {tool.name: tool for each in plugins for tool in sorted(each.tools, key=lambda tool: tool.name)}
    prompts = {prompt.name: prompt for each in plugins for prompt in each.prompts}
    return Registry(
        MappingProxyType(tools),
        records,
        MappingProxyType({each.plugin: each.observer for each in plugins if each.observer is not None}),
        MappingProxyType(dict(sorted(prompts.items()))),
        MappingProxyType(skills),
        tuple(plugins),
    )


def _load_each(
    wanted: Sequence[FoundPlugin], watch: ImportWatch, tables: Mapping[str, Mapping[str, Any]]
) -> tuple[list[Contributions], dict[FoundPlugin, PluginRecord]]:
    loaded: list[Contributions] = []
    owners = dict.fromkeys((f"a tool named {name}" for name in HOST_TOOLS), "the server itself")
    records: dict[FoundPlugin, PluginRecord] = {}
    for found in sorted(wanted, key=lambda found: not found.first_party):  # so that they get their tools' names first
        try:
            plugin = _load_one(found, wanted, owners, watch, tables.get(found.name, {}))
        except UserInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - no plugin's failure may affect the others
            records[found] = _record_failure(found, error)
        else:
            loaded.append(plugin)
            owners.update(dict.fromkeys(plugin.names, plugin.plugin))
            records[found] = _record(found, PluginState.LOADED, plugin=plugin)
    return loaded, records


def _load_one(
    found: FoundPlugin,
    wanted: Iterable[FoundPlugin],
    owners: Mapping[str, str],
    watch: ImportWatch,
    table: Mapping[str, Any],
) -> Contributions:
    check_before_import(found, wanted)
    with watch.step(f"importing {found.entry_point.value} (plugin {found})"):
        plugin = load(found)
    with watch.step(f"asking {found.entry_point.value} for its tools (plugin {found})"):
        manager = register(found, plugin)
        offered = collect(found, manager, partial(_read_settings, found.name, table))
    check_names(found, [tool.name for tool in offered.tools])
    check_prompt_names([prompt.name for prompt in offered.prompts])
    check_unique(offered, owners)
    for tool in offered.tools:
        check_publishable(tool)
    if table and offered.settings is None:
        logger.warning("The plugin %s has no settings, so [plugins.%s] has no effect.", found, found.name)
    return offered


def _read_settings(name: str, table: Mapping[str, Any], model: type[BaseModel]) -> BaseModel:
    from maas_mcp.plugins.plugin_settings import read_plugin_settings  # noqa: PLC0415 - few plugins have settings

    return read_plugin_settings(name, model, table)


def _with_skills(records: Iterable[PluginRecord], packages: Mapping[str, Sequence[str]]) -> tuple[PluginRecord, ...]:
    """The records with the plugins' skills, which are read."""
    from maas_mcp.plugins.skills import read_skills  # noqa: PLC0415 - not needed to list the tools

    skills, broken = read_skills(packages)
    return tuple(
        replace(
            record,
            skills=tuple(each.name for each in skills if each.plugin == record.name),
            broken_skills=tuple(f"{each.path}: {each.error}" for each in broken if each.plugin == record.name),
        )
        if record.state is PluginState.LOADED
        else record
        for record in records
    )


def _record_failure(found: FoundPlugin, error: BaseException) -> PluginRecord:
    text = _describe_error(found, error)
    logger.error("The plugin %s cannot be used: %s", found, text)
    logger.debug("Traceback of the plugin %s", found, exc_info=error)
    return _record(found, PluginState.FAILED, error=text)


def _record(
    found: FoundPlugin, state: PluginState, *, error: str | None = None, plugin: Contributions | None = None
) -> PluginRecord:
    tools = () if plugin is None else tuple(sorted(tool.name for tool in plugin.tools))
    resources = () if plugin is None else tuple(resource.uri for resource in plugin.resources)
    fields = () if plugin is None or plugin.settings is None else type(plugin.settings).model_fields
    variables = tuple(variable_of(found.name, field) for field in fields)
    return PluginRecord(
        found.name, found.distribution, found.version, state, error, tools, resources=resources, settings=variables
    )


def _describe_error(found: FoundPlugin, error: BaseException) -> str:
    """Describe an error in one line: the host's own message, or the type, message and plugin line of another error."""
    try:
        message = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    except Exception:  # noqa: BLE001 - the plugin's exception class may be broken as well
        message = ""
    if len(message) > ERROR_LENGTH:
        message = message[:ERROR_LENGTH] + "…"
    if isinstance(error, PluginError):
        return message
    said = f"{type(error).__name__}: {message}" if message else type(error).__name__
    line = _find_line(found, error)
    return f"{said} ({line})" if line else said


def _find_line(found: FoundPlugin, error: BaseException) -> str | None:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    package = re.split(r"\W", found.entry_point.value)[0]
    lines = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package
    ]
    return lines[-1] if lines else None


def _warn_of_unknown_names(option: str, names: Collection[str], installed: Iterable[FoundPlugin]) -> None:
    known = {found.name for found in installed}
    for name in sorted(set(names) - known):
        logger.warning("%s names the plugin %r, which is not installed.%s", option, name, did_you_mean(name, known))


def _raise_for_failures(records: Iterable[PluginRecord]) -> None:
    reasons = [
        f"{record.name} of {record.distribution}: {record.error}"
        for record in records
        if record.state is PluginState.FAILED
    ]
    broken = [f"skill {each}" for record in records for each in record.broken_skills]
    if reasons or broken:
        counts = " and ".join(
            f"{len(each)} {what}" for each, what in ((reasons, "of the installed plugins"), (broken, "skills")) if each
        )
        raise PluginError(
            f"{counts} cannot be used. {' | '.join([*reasons, *broken])}",
            hint="Fix, block or uninstall each of them, or turn off the strict check of plugins.",
        )
