"""Holding plugins: each is loaded, validated and asked for its tools apart, so one that fails loses only itself."""

import logging
import re
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from maas_mcp.errors import PluginError
from maas_mcp.hookspecs import PLUGIN_GROUP
from maas_mcp.operations.declaring.operation_change import OperationChange
from maas_mcp.plugins.discovery import FoundPlugin, find, load
from maas_mcp.plugins.import_watch import ImportWatch, UserInterrupt
from maas_mcp.plugins.validation import (
    AnyTool,
    check_before_import,
    check_names,
    check_shown,
    declared,
    did_you_mean,
    observer_of,
    registered,
)

Observe = Callable[[OperationChange], object]

__all__ = ["AnyTool", "PluginRecord", "PluginState", "Registry", "load_registry"]

logger = logging.getLogger(__name__)

HOST_TOOLS: Final = frozenset(
    {"maas_cancel_operation", "maas_get_operation", "maas_list_operations", "maas_wait_operation"}
)
"""The names of the tools that the server itself offers: a plugin that takes one fails."""
ERROR_LENGTH: Final = 600
"""Characters of an error that a record keeps."""


class PluginState(StrEnum):
    """What became of a plugin."""

    LOADED = "loaded"
    FAILED = "failed"
    """It cannot be used; the record's ``error`` says why."""
    BLOCKED = "blocked"
    """The configuration does not want it; nothing of it was imported."""


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What became of one installed plugin."""

    name: str
    distribution: str
    version: str
    state: PluginState
    error: str | None = None
    """One line, if it failed."""
    tools: tuple[str, ...] = ()
    """The names of its tools and operations, sorted; none unless it is loaded."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything that the plugins offer, and what became of each."""

    tools: Mapping[str, AnyTool]
    """Tools and operations by name, sorted."""
    records: tuple[PluginRecord, ...]
    """Every installed plugin, by name."""
    observers: Mapping[str, Observe] = field(default_factory=dict)
    """What each plugin wants to be shown the changes of operations, by the plugin's name; not each has one."""


def load_registry(
    *,
    allow: Collection[str] = (),
    block: Collection[str] = (),
    strict: bool = False,
    group: str = PLUGIN_GROUP,
) -> Registry:
    """Find, import, validate and ask every plugin that may be used.

    Args:
        allow: The names of the plugins to use; empty for all.
        block: The names of plugins that are not to be used, nor imported, whatever ``allow`` says.
        strict: Whether a plugin that cannot be used is an error.
        group: The entry point group to look in.

    Raises:
        PluginError: ``strict``, and at least one plugin cannot be used; each is named with its reason.
        UserInterrupt: The user pressed Ctrl-C meanwhile.
    """
    installed = find(group)
    _warn_of_strangers("allow", allow, installed)
    _warn_of_strangers("block", block, installed)
    wanted = [found for found in installed if found.name not in block and (not allow or found.name in allow)]
    with ImportWatch() as watch:
        tools, observers, outcomes = _load_each(wanted, watch)
    records = tuple(outcomes.get(found) or _record(found, PluginState.BLOCKED) for found in installed)
    if strict:
        _refuse_failures(records)
    return Registry(MappingProxyType(dict(sorted(tools.items()))), records, MappingProxyType(observers))


def _load_each(
    wanted: Sequence[FoundPlugin], watch: ImportWatch
) -> tuple[dict[str, AnyTool], dict[str, Observe], dict[FoundPlugin, PluginRecord]]:
    tools: dict[str, AnyTool] = {}
    observers: dict[str, Observe] = {}
    owners = dict.fromkeys(HOST_TOOLS, "the server itself")
    records: dict[FoundPlugin, PluginRecord] = {}
    for found in sorted(wanted, key=lambda found: not found.first_party):  # so their tools' names are taken first
        try:
            offered, observer = _offered_by(found, wanted, owners, watch)
        except UserInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a plugin does, the others go on
            records[found] = _failure(found, error)
        else:
            tools.update(offered)
            if observer is not None:
                observers[str(found)] = observer
            owners.update(dict.fromkeys(offered, str(found)))
            records[found] = _record(found, PluginState.LOADED, tools=tuple(sorted(offered)))
    return tools, observers, records


def _offered_by(
    found: FoundPlugin, wanted: Iterable[FoundPlugin], owners: Mapping[str, str], watch: ImportWatch
) -> tuple[dict[str, AnyTool], Observe | None]:
    check_before_import(found, wanted)
    with watch.step(f"importing {found.entry_point.value} (plugin {found})"):
        plugin = load(found)
    with watch.step(f"asking {found.entry_point.value} for its tools (plugin {found})"):
        manager = registered(found, plugin)
        tools = [tool() for tool in declared(manager)]
    check_names(found, [tool.name for tool in tools], owners)
    for tool in tools:
        check_shown(tool)
    return {tool.name: tool for tool in tools}, observer_of(manager)


def _failure(found: FoundPlugin, error: BaseException) -> PluginRecord:
    text = _one_line(found, error)
    logger.error("The plugin %s cannot be used: %s", found, text)
    logger.debug("Why the plugin %s cannot be used", found, exc_info=error)
    return _record(found, PluginState.FAILED, error=text)


def _record(
    found: FoundPlugin, state: PluginState, *, error: str | None = None, tools: tuple[str, ...] = ()
) -> PluginRecord:
    return PluginRecord(found.name, found.distribution, found.version, state, error, tools)


def _one_line(found: FoundPlugin, error: BaseException) -> str:
    """The host's own words as they are; of another error its type, its message, and the plugin's line it came from."""
    try:
        message = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    except Exception:  # noqa: BLE001 - a plugin's exception class may be broken, too
        message = ""
    if len(message) > ERROR_LENGTH:
        message = message[:ERROR_LENGTH] + "…"
    if isinstance(error, PluginError):
        return message
    said = f"{type(error).__name__}: {message}" if message else type(error).__name__
    line = _line(found, error)
    return f"{said} ({line})" if line else said


def _line(found: FoundPlugin, error: BaseException) -> str | None:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    package = re.split(r"\W", found.entry_point.value)[0]
    lines = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package
    ]
    return lines[-1] if lines else None


def _warn_of_strangers(option: str, names: Collection[str], installed: Iterable[FoundPlugin]) -> None:
    known = {found.name for found in installed}
    for name in sorted(set(names) - known):
        logger.warning("%s names the plugin %r, which is not installed.%s", option, name, did_you_mean(name, known))


def _refuse_failures(records: Iterable[PluginRecord]) -> None:
    reasons = [
        f"{record.name} of {record.distribution}: {record.error}"
        for record in records
        if record.state is PluginState.FAILED
    ]
    if reasons:
        raise PluginError(
            f"Every installed plugin has to be usable, and {len(reasons)} cannot be used. {' | '.join(reasons)}",
            hint="Fix, block or uninstall them, or start without the strict check of plugins.",
        )
