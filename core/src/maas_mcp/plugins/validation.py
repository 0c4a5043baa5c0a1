"""What a plugin has to be: the checks before it is imported, of its hooks, and of what they return.

Each check raises :class:`~maas_mcp.errors.PluginError` with what was wrong, what was expected and what to do.
"""

import difflib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import pluggy
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pydantic_core import to_json

from maas_mcp import __version__, hookspecs
from maas_mcp.errors import PluginError
from maas_mcp.hookspecs import PROJECT
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.declaring.operation import LongRunning, Operation
from maas_mcp.operations.declaring.operation_change import OperationChange
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.declaring.tool import Tool
from maas_mcp.operations.running.results import kind_of
from maas_mcp.plugins.discovery import FoundPlugin
from maas_mcp.plugins.schemas import input_schema, output_schema

AnyTool = Tool[Any, Any] | LongRunning[Any, Any]

CORE: Final = "maas-mcp-core"
TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_]{1,64}")
"""What every MCP client and every model's API accepts as a tool's name."""
HOOKS: Final[Mapping[str, type[AnyTool]]] = MappingProxyType(
    {"maas_mcp_operations": LongRunning, "maas_mcp_tools": Tool}
)
"""What the classes that each hook returns have to be."""
OBSERVER: Final = "maas_mcp_operation_changed"
"""The hook that is shown the changes of operations."""
ALL_HOOKS: Final = (*HOOKS, OBSERVER)
LONG_RUNNING: Final = (Operation, BatchOperation, RegionOperation)
"""What the host has an engine for."""
NAMES: Final[Mapping[type[AnyTool], str]] = MappingProxyType({LongRunning: "Operation", Tool: "Tool"})
"""What an author is told to subclass."""
SHOWN: Final[Mapping[str, type]] = MappingProxyType(
    {"title": str, "offers": str, "read_only": bool, "destructive": bool, "idempotent": bool}
)
"""What the host takes of a tool as it stands in the class, and its type."""
CALL_OPTIONS: Final = ("wait_seconds", "on_cancel", "_meta")
"""Arguments that every long-running tool has beside its own, as clients are shown them."""


def check_before_import(found: FoundPlugin, wanted: Iterable[FoundPlugin]) -> None:
    """Refuse a plugin whose name another one of ``wanted`` has too, or that was made for another host.

    Of two that share a name, the project's own is the one that is meant by it; of two others, neither is.

    A distribution that does not say which host it needs is taken: the entry point group already names the API's major.
    """
    named = [other for other in wanted if other.name == found.name]
    own = [other for other in named if other.first_party]
    if len(own) == 1 and not found.first_party:
        raise PluginError(
            f"{found} takes the name of the plugin {own[0]}, which maas-mcp itself offers. Expected a name of its own. "
            f"Uninstall {found.distribution}, or ask its author for another name."
        )
    if len(named) > 1 and own != [found]:
        raise PluginError(
            f"There are {len(named)} plugins of this name: {' and '.join(map(str, named))}. Expected one. "
            "Uninstall the others, or ask their authors for another name."
        )
    for requirement in _requirements(found, CORE):
        if not requirement.specifier.contains(__version__, prereleases=True):
            raise PluginError(
                f"{found.distribution} {found.version} was made for {CORE} {requirement.specifier}. Expected a release "
                f"for {CORE} {__version__}, which is running. Install another release of one of the two."
            )


def _requirements(found: FoundPlugin, name: str) -> Iterator[Requirement]:
    for text in found.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # of whatever it is: pip would not have installed a plugin whose requirement on us is not valid
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and canonicalize_name(requirement.name) == name:
            yield requirement


def registered(found: FoundPlugin, plugin: object) -> pluggy.PluginManager:
    """Register a plugin with a manager of its own: none can be seen, called or broken by another.

    Raises:
        PluginError: Its hooks are not those of :mod:`maas_mcp.hookspecs`, or it has none.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, found.name)
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{error}. Expected the arguments of maas_mcp.hookspecs. Take the others away.") from error
    hooks = manager.get_hookcallers(plugin) or []
    _check_spelling(hooks)
    _check_markers(found, plugin, {hook.name for hook in hooks if hook.has_spec()})
    if any(impl.wrapper or impl.hookwrapper for hook in hooks for impl in hook.get_hookimpls()):
        raise PluginError("It wraps a hook. Expected hooks that return classes. Write `@hookimpl` without arguments.")
    return manager


def _check_spelling(hooks: Iterable[pluggy.HookCaller]) -> None:
    for hook in hooks:
        if not hook.has_spec() and not all(impl.optionalhook for impl in hook.get_hookimpls()):
            raise PluginError(f"There is no hook {hook.name!r}. Expected {one_of(ALL_HOOKS)}.{did_you_mean(hook.name)}")


def _check_markers(found: FoundPlugin, plugin: object, implemented: Collection[str]) -> None:
    unmarked = [name for name in ALL_HOOKS if name not in implemented and callable(getattr(plugin, name, None))]
    if unmarked:
        raise PluginError(
            f"{' and '.join(unmarked)} in {found.entry_point.value} would never be called. Expected hooks that "
            "are marked as such. Write `@hookimpl`, from maas_mcp.api, above each."
        )
    if not implemented:
        raise PluginError(
            f"{found.entry_point.value} implements no hook. Expected {one_of(ALL_HOOKS)}. "
            "Write one of them, marked with `@hookimpl` of maas_mcp.api."
        )


def observer_of(manager: pluggy.PluginManager) -> Callable[[OperationChange], object] | None:
    """What the one plugin that ``manager`` holds wants to be shown the changes of operations, if it does.

    Raises:
        PluginError: It is a coroutine function, which a thread cannot call.
    """
    hook: pluggy.HookCaller = getattr(manager.hook, OBSERVER)
    if not hook.get_hookimpls():
        return None
    if any(inspect.iscoroutinefunction(each.function) for each in hook.get_hookimpls()):
        raise PluginError(
            f"{OBSERVER}() is a coroutine function. Expected a plain one. Write `def {OBSERVER}(change):`."
        )

    def show(change: OperationChange) -> object:
        return hook(change=change)

    return show


def declared(manager: pluggy.PluginManager) -> Iterator[type[AnyTool]]:
    """Call the hooks of the one plugin that ``manager`` holds, and yield the classes they return.

    Raises:
        PluginError: A hook returned something else; what the plugin's own code raises passes through.
    """
    for name in HOOKS:
        hook: pluggy.HookCaller = getattr(manager.hook, name)
        answers = hook()
        if len(answers) < len(hook.get_hookimpls()):  # pluggy leaves out those that are None
            answers = [*answers, None]
        for answer in answers:
            yield from _classes(name, answer)


def _classes(hook: str, answer: object) -> Iterator[type[AnyTool]]:
    if inspect.iscoroutine(answer):
        answer.close()  # or Python warns that it was never awaited
    if not isinstance(answer, Sequence) or isinstance(answer, (str, bytes)):
        raise PluginError(
            f"{hook}() returned {kind_of(answer)}. Expected a list of {NAMES[HOOKS[hook]]} classes. "
            f"Write `def {hook}(): return [YourClass]`."
        )
    for item in answer:
        yield _checked(hook, item)


def _checked(hook: str, item: object) -> type[AnyTool]:
    expected = HOOKS[hook]
    if not isinstance(item, type):
        name = type(item).__name__
        mend = f"Return {name}, not {name}()." if isinstance(item, tuple(HOOKS.values())) else "Return your class."
        raise PluginError(f"{hook}() returned {kind_of(item)} in its list. Expected {NAMES[expected]} classes. {mend}")
    if not issubclass(item, expected):
        right = next((name for name, kind in HOOKS.items() if issubclass(item, kind)), None)
        mend = f"Return it from {right}()." if right else f"Write `class {item.__name__}({NAMES[expected]}[…, …])`."
        raise PluginError(f"{hook}() returned {kind_of(item)}. Expected subclasses of {NAMES[expected]}. {mend}")
    if inspect.isabstract(item):
        missing = ", ".join(sorted(item.__abstractmethods__))
        raise PluginError(
            f"{hook}() returned {kind_of(item)}, which is abstract. Expected a whole one. Define {missing}."
        )
    if expected is LongRunning and not issubclass(item, LONG_RUNNING):
        kinds = one_of(kind.__name__ for kind in LONG_RUNNING)
        raise PluginError(
            f"{hook}() returned {kind_of(item)}, a bare LongRunning. Expected a subclass of {kinds}. "
            "Subclass the one that fits."
        )
    if not getattr(item, "name", ""):
        raise PluginError(
            f"{hook}() returned {kind_of(item)}, which has no name. Expected the name that clients call it by. "
            'Write `name = "acme_do_something"` in it.'
        )
    return item


def check_names(found: FoundPlugin, names: Iterable[str], owners: Mapping[str, str]) -> None:
    """Refuse the names of a plugin's tools if one of them is malformed, there twice, or in ``owners`` already.

    Args:
        found: The plugin.
        names: What its tools are called.
        owners: Who offers what so far, by the tool's name.

    Raises:
        PluginError: Also where one name is at fault: half a plugin would be a riddle to whoever uses it.
    """
    prefixes = ("maas_", found.name.replace("-", "_") + "_")
    for name, times in Counter(names).items():
        if not isinstance(name, str) or not TOOL_NAME.fullmatch(name) or not name.startswith(prefixes):
            raise PluginError(
                f"A tool is named {name!r}. Expected letters, digits and underscores, 64 at the most, beginning with "
                f"{one_of(prefixes)}. Change the class's `name`."
            )
        if times > 1:
            raise PluginError(f"{times} of its tools are named {name}. Expected every name once. Rename all but one.")
        if name in owners:
            raise PluginError(
                f"{found} offers the tool {name}, which {owners[name]} offers too. Expected every name once. "
                "Block one of the two, or ask its author for another name."
            )


def check_shown(tool: AnyTool) -> None:
    """Refuse a tool that cannot be shown to a client, or called by one.

    Raises:
        PluginError: What a client is told of it is not JSON, or has no schema.
    """
    for name, kind in SHOWN.items():
        if not isinstance(getattr(tool, name), kind):
            raise PluginError(
                f"{tool.name} has {kind_of(getattr(tool, name))} as its `{name}`. Expected a {kind.__name__}. "
                "Correct the class's attribute."
            )
    for model in (tool.arguments, tool.returns):
        if model.__pydantic_root_model__:
            raise PluginError(
                f"{tool.name} takes or returns {model.__name__}, a RootModel. Expected a BaseModel: an object with "
                "names in it. Give it a field."
            )
    try:
        arguments = input_schema(tool.arguments)
        to_json((arguments, output_schema(tool.returns), tool.title, tool.description()))
    except Exception as error:
        raise PluginError(
            f"{tool.name} has arguments or a result that cannot be shown to a client: {error} Expected fields of the "
            "types that JSON has, in models that do not contain themselves. Change those fields."
        ) from error
    if isinstance(tool, LongRunning) and (taken := sorted(set(CALL_OPTIONS) & set(arguments["properties"]))):
        raise PluginError(
            f"{tool.name} has an argument {one_of(taken)}, which every operation has already. Expected other names. "
            f"Rename it in {tool.arguments.__name__}."
        )


def one_of(names: Iterable[str]) -> str:
    """The names as a phrase."""
    return " or ".join(names)


def did_you_mean(name: str, known: Iterable[str] = HOOKS) -> str:
    """A sentence that names the one of ``known`` that is most like ``name``; empty if none is."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
