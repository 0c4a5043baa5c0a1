"""The checks of plugins: before the import, of the hooks, and of the classes that the hooks return.

Each check raises :class:`~maas_mcp.errors.PluginError` with what was wrong, what was expected and what to do.
"""

import difflib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import pluggy
from pydantic_core import to_json

from maas_mcp import __version__, hookspecs
from maas_mcp.errors import PluginError
from maas_mcp.hookspecs import PROJECT
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.declaring.completion import Completion
from maas_mcp.operations.declaring.operation import LongRunning, Operation
from maas_mcp.operations.declaring.operation_change import OperationChange
from maas_mcp.operations.declaring.region_operation import RegionOperation
from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.operations.declaring.tool import Tool
from maas_mcp.operations.running.results import kind_of
from maas_mcp.plugins.discovery import FoundPlugin, normalized_name

if TYPE_CHECKING:
    from packaging.requirements import Requirement
from maas_mcp.plugins.schemas import input_schema, result_schema

AnyTool = Tool[Any, Any] | LongRunning[Any, Any]

CORE: Final = "maas-mcp-core"
TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_]{1,64}")
"""The tool names that all MCP clients and model APIs accept."""
TOOL_HOOKS: Final = ("maas_mcp_operations", "maas_mcp_tools")
HOOKS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "maas_mcp_operations": LongRunning,
        "maas_mcp_tools": Tool,
        "maas_mcp_resources": Resource,
        "maas_mcp_completions": Completion,
    }
)
"""The required base class of the classes that each hook returns."""
OBSERVER: Final = "maas_mcp_operation_changed"
"""The hook that receives the changes of operations."""
SETTINGS: Final = "maas_mcp_settings"
PROCESS_LIFESPAN: Final = "maas_mcp_process_lifespan"
LIFESPAN: Final = "maas_mcp_lifespan"
PROMPTS: Final = "maas_mcp_prompts"
SKILLS: Final = "maas_mcp_skills"
ALL_HOOKS: Final = (*HOOKS, PROMPTS, SKILLS, SETTINGS, PROCESS_LIFESPAN, LIFESPAN, OBSERVER)
LONG_RUNNING: Final = (Operation, BatchOperation, RegionOperation)
"""The kinds of operations that the host can run."""
BASE_CLASS_NAMES: Final[Mapping[type, str]] = MappingProxyType(
    {LongRunning: "Operation", Tool: "Tool", Resource: "Resource", Completion: "Completion"}
)
"""The base class that messages recommend to authors."""
PUBLISHED_ATTRIBUTES: Final[Mapping[str, type]] = MappingProxyType(
    {"title": str, "offers": str, "read_only": bool, "destructive": bool, "idempotent": bool, "list_position": int}
)
"""The class attributes of a tool that the host reads, with their types."""
CALL_OPTIONS: Final = ("wait_seconds", "on_cancel", "_meta")
"""The arguments that the host adds to every long-running tool."""
REGION_OPTION: Final = "region"
"""The argument that the host adds to the tools of a user with several regions, except to one with its own."""
OPERATION_ID: Final = "operation_id"
"""The argument of tools that use an existing operation. Its id belongs to a region, so they need no other choice."""
PLAN_OPTIONS: Final = ("plan", "plan_id")
"""The arguments that the host adds to every tool that may change something."""


def check_before_import(found: FoundPlugin, wanted: Iterable[FoundPlugin]) -> None:
    """Reject a plugin with the name of another one in ``wanted``, or for another version of the host.

    The project's own plugin keeps its name. If neither of two plugins is the project's own, both are rejected.

    A distribution without a requirement on the host is accepted, because the entry point group has the API's version.
    """
    named = [other for other in wanted if other.name == found.name]
    own = [other for other in named if other.first_party]
    if len(own) == 1 and not found.first_party:
        raise PluginError(
            f"{found} has the same name as {own[0]}, a plugin of maas-mcp itself. Expected a unique name. "
            f"Uninstall {found.distribution}, or ask its author to rename the plugin."
        )
    if len(named) > 1 and own != [found]:
        raise PluginError(
            f"{len(named)} plugins have this name: {' and '.join(map(str, named))}. Expected one. "
            "Uninstall all but one, or ask their authors to rename them."
        )
    if found.first_party and found.version == __version__:
        return  # released together; so packaging, which takes a fiftieth of the start-up, is not imported
    for requirement in _requirements(found, CORE):
        if not requirement.specifier.contains(__version__, prereleases=True):
            raise PluginError(
                f"{found.distribution} {found.version} requires {CORE} {requirement.specifier}. Expected a release "
                f"for the running {CORE} {__version__}. Install another release of one of them."
            )


def _requirements(found: FoundPlugin, name: str) -> Iterator["Requirement"]:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - see check_before_import

    for text in found.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # not on the core, because pip does not install a plugin with an invalid requirement on it
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and normalized_name(requirement.name) == name:
            yield requirement


def register(found: FoundPlugin, plugin: object) -> pluggy.PluginManager:
    """Register a plugin with a new manager, so that plugins cannot see, call or break each other.

    Raises:
        PluginError: A hook does not match :mod:`maas_mcp.hookspecs`, or the plugin has no hook.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, found.name)
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{error}. Expected the arguments of maas_mcp.hookspecs. Remove the others.") from error
    hooks = manager.get_hookcallers(plugin) or []
    _check_spelling(hooks)
    _check_markers(found, plugin, {hook.name for hook in hooks if hook.has_spec()})
    if any(impl.wrapper or impl.hookwrapper for hook in hooks for impl in hook.get_hookimpls()):
        raise PluginError("It has a hook wrapper. Expected plain hooks. Write `@hookimpl` without arguments.")
    return manager


def _check_spelling(hooks: Iterable[pluggy.HookCaller]) -> None:
    for hook in hooks:
        if not hook.has_spec() and not all(impl.optionalhook for impl in hook.get_hookimpls()):
            raise PluginError(f"There is no hook {hook.name!r}. Expected {one_of(ALL_HOOKS)}.{did_you_mean(hook.name)}")


def _check_markers(found: FoundPlugin, plugin: object, implemented: Collection[str]) -> None:
    unmarked = [name for name in ALL_HOOKS if name not in implemented and callable(getattr(plugin, name, None))]
    if unmarked:
        raise PluginError(
            f"{' and '.join(unmarked)} in {found.entry_point.value} would never be called. Expected marked hooks. "
            "Write `@hookimpl`, from maas_mcp.api, above each."
        )
    if not implemented:
        raise PluginError(
            f"{found.entry_point.value} implements no hook. Expected {one_of(ALL_HOOKS)}. "
            "Write one of them with `@hookimpl`, from maas_mcp.api, above it."
        )


def find_observer(manager: pluggy.PluginManager) -> Callable[[OperationChange], object] | None:
    """Return the function of the manager's one plugin that receives the changes of operations, or ``None``.

    Raises:
        PluginError: The hook is a coroutine function, which a thread cannot call.
    """
    hook: pluggy.HookCaller = getattr(manager.hook, OBSERVER)
    if not hook.get_hookimpls():
        return None
    if any(inspect.iscoroutinefunction(each.function) for each in hook.get_hookimpls()):
        raise PluginError(
            f"{OBSERVER}() is a coroutine function. Expected a plain function. Write `def {OBSERVER}(change):`."
        )

    def show(change: OperationChange) -> object:
        return hook(change=change)

    return show


def declared_classes(manager: pluggy.PluginManager, hooks: Iterable[str] = TOOL_HOOKS) -> Iterator[type[Any]]:
    """Call hooks of the manager's one plugin, and yield the classes they return: by default its tools.

    Raises:
        PluginError: A hook returned something else. Exceptions of the plugin's own code are not caught.
    """
    for name in hooks:
        for item in call_hook(manager, name, f"{BASE_CLASS_NAMES[HOOKS[name]]} classes", "[YourClass]"):
            yield _check_class(name, item)


def hook_results(manager: pluggy.PluginManager, name: str) -> list[object]:
    """Call a hook of the manager's one plugin: one result for each implementation."""
    hook: pluggy.HookCaller = getattr(manager.hook, name)
    results = hook()
    if len(results) < len(hook.get_hookimpls()):  # pluggy leaves out results that are None
        results = [*results, None]
    return list(results)


def call_hook(manager: pluggy.PluginManager, name: str, expected: str, example: str) -> Iterator[object]:
    """Call a hook of the manager's one plugin, and yield the items of the list that it returns.

    Args:
        manager: The plugin's manager.
        name: The hook.
        expected: The items, for the message.
        example: A list of them, for the message.

    Raises:
        PluginError: The hook returned no list. Exceptions of the plugin's own code are not caught.
    """
    for result in hook_results(manager, name):
        if inspect.iscoroutine(result):
            result.close()  # otherwise Python warns that it was never awaited
        if not isinstance(result, Sequence) or isinstance(result, (str, bytes)):
            raise PluginError(
                f"{name}() returned {kind_of(result)}. Expected a list of {expected}. "
                f"Write `def {name}(): return {example}`."
            )
        yield from result


def _check_class(hook: str, item: object) -> type[Any]:
    expected = HOOKS[hook]
    if not isinstance(item, type):
        name = type(item).__name__
        fix = f"Return {name}, not {name}()." if isinstance(item, tuple(HOOKS.values())) else "Return your class."
        raise PluginError(
            f"{hook}() returned {kind_of(item)} in its list. Expected {BASE_CLASS_NAMES[expected]} classes. {fix}"
        )
    if not issubclass(item, expected):
        right = next((name for name, kind in HOOKS.items() if issubclass(item, kind)), None)
        fix = (
            f"Return it from {right}()."
            if right
            else f"Write `class {item.__name__}({BASE_CLASS_NAMES[expected]}{'[…, …]' if hook in TOOL_HOOKS else ''})`."
        )
        raise PluginError(
            f"{hook}() returned {kind_of(item)}. Expected subclasses of {BASE_CLASS_NAMES[expected]}. {fix}"
        )
    if inspect.isabstract(item):
        missing = ", ".join(sorted(getattr(item, "__abstractmethods__", ())))
        raise PluginError(
            f"{hook}() returned {kind_of(item)}, which is abstract. Expected a concrete class. Define {missing}."
        )
    if expected is LongRunning and not issubclass(item, LONG_RUNNING):
        kinds = one_of(kind.__name__ for kind in LONG_RUNNING)
        raise PluginError(
            f"{hook}() returned {kind_of(item)}, a direct subclass of LongRunning. Expected a subclass of {kinds}. "
            "Subclass one of them."
        )
    if hook in TOOL_HOOKS and not getattr(item, "name", ""):
        raise PluginError(
            f"{hook}() returned {kind_of(item)}, which has no name. Expected the tool's name. "
            'Write `name = "acme_do_something"` in the class.'
        )
    if expected is Resource and not hasattr(item, "template"):
        raise PluginError(
            f"{hook}() returned {kind_of(item)}, which has no URI. Expected the resource's URI or template. "
            'Write `uri = "acme://racks/{rack}"` in the class.'
        )
    return item


def check_names(found: FoundPlugin, names: Iterable[str]) -> None:
    """Reject a plugin if a tool's name is malformed or duplicate.

    Args:
        found: The plugin.
        names: The names of its tools.

    Raises:
        PluginError: At least one name is invalid. A plugin with only some of its tools would confuse users.
    """
    own = found.name.replace("-", "_")
    prefixes = ("maas_", f"{own}_")
    for name, times in Counter(names).items():
        if not isinstance(name, str) or not TOOL_NAME.fullmatch(name) or not (name.startswith(prefixes) or name == own):
            raise PluginError(
                f"A tool is named {name!r}. Expected at most 64 letters, digits and underscores, starting with "
                f"{one_of(prefixes)}. Change the class's `name`."
            )
        if times > 1:
            raise PluginError(f"{times} of its tools are named {name}. Expected unique names. Rename all but one.")


def check_publishable(tool: AnyTool) -> None:
    """Reject a tool that cannot be published to clients.

    Raises:
        PluginError: The tool's description is not JSON, or its arguments or result have no schema.
    """
    for name, kind in PUBLISHED_ATTRIBUTES.items():
        if not isinstance(getattr(tool, name), kind):
            raise PluginError(
                f"{tool.name} has {kind_of(getattr(tool, name))} as its `{name}`. Expected a {kind.__name__}. "
                "Fix the class's attribute."
            )
    for model in (tool.arguments, tool.returns):
        if model.__pydantic_root_model__:
            raise PluginError(
                f"{tool.name} takes or returns {model.__name__}, a RootModel. Expected a BaseModel, which is an object "
                "in JSON. Use a BaseModel with a field."
            )
    try:
        arguments = input_schema(tool.arguments)
        to_json((arguments, result_schema(tool.returns), tool.title, tool.description()))
    except Exception as error:
        raise PluginError(
            f"{tool.name} has arguments or a result that cannot be published to clients: {error} Expected fields with "
            "JSON types, in models that do not contain themselves. Change those fields."
        ) from error
    if taken := sorted({*added_options(tool)} & set(arguments["properties"])):
        raise PluginError(
            f"{tool.name} has an argument {one_of(taken)}, which the host adds to the tool. Expected another name. "
            f"Rename it in {tool.arguments.__name__}."
        )
    if not isinstance(tool, LongRunning) and not tool.read_only and "plan" in tool.returns.model_fields:
        raise PluginError(
            f"{tool.name} has a field `plan` in its result, in which the host returns the plan of a call. Expected "
            f"another name. Rename it in {tool.returns.__name__}."
        )


def added_options(tool: AnyTool) -> tuple[str, ...]:
    """The arguments that the host adds to a tool."""
    options = CALL_OPTIONS if isinstance(tool, LongRunning) else ()
    return options if tool.read_only else (*options, *PLAN_OPTIONS)


def one_of(names: Iterable[str]) -> str:
    """Join names with "or"."""
    return " or ".join(names)


def did_you_mean(name: str, known: Iterable[str] = ALL_HOOKS) -> str:
    """Return a sentence that suggests the closest of ``known``, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
