"""The contributions of one plugin: tools, resources, completions, prompts, skills, settings, lifespans, observer."""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pluggy
from pydantic import BaseModel

from maas_mcp.errors import PluginError
from maas_mcp.operations.declaring.completion import Completion
from maas_mcp.operations.declaring.operation_change import OperationChange
from maas_mcp.operations.declaring.plugin_services import LifespanContext
from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.operations.running.results import kind_of
from maas_mcp.plugins.discovery import FoundPlugin
from maas_mcp.plugins.prompts import AnyPrompt, declared_prompts
from maas_mcp.plugins.validation import (
    LIFESPAN,
    PROCESS_LIFESPAN,
    SETTINGS,
    SKILLS,
    AnyTool,
    call_hook,
    declared_classes,
    find_observer,
    hook_results,
)

ProcessLifespan = Callable[[Any], AbstractAsyncContextManager[object]]
PrincipalLifespan = Callable[[LifespanContext], AbstractAsyncContextManager[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """The contributions of a loaded plugin."""

    name: str
    """The plugin's name."""
    plugin: str
    """The plugin with its distribution, for messages."""
    tools: tuple[AnyTool, ...] = ()
    resources: tuple[Resource, ...] = ()
    completions: tuple[Completion, ...] = ()
    prompts: tuple[AnyPrompt, ...] = ()
    skills: tuple[str, ...] = ()
    """The names of its packages with skills."""
    settings: BaseModel | None = None
    """The validated settings; ``None`` if the plugin declares none."""
    process_lifespan: ProcessLifespan | None = None
    lifespan: PrincipalLifespan | None = None
    observer: Callable[[OperationChange], object] | None = None

    @property
    def classes(self) -> Iterator[type]:
        """The classes of everything that the plugin declares."""
        for declared in (*self.tools, *self.resources, *self.completions, *self.prompts):
            yield type(declared)

    @property
    def names(self) -> Iterator[str]:
        """The names that only one plugin may use: of tools, URIs, and completed arguments."""
        yield from (f"a tool named {tool.name}" for tool in self.tools)
        yield from (f"a prompt named {prompt.name}" for prompt in self.prompts)
        yield from (f"a resource {resource.uri}" for resource in self.resources)
        for completion in self.completions:
            yield from (f"a completion of {argument}" for argument in completion.arguments)


def collect(
    found: FoundPlugin, manager: pluggy.PluginManager, read_settings: Callable[[type[BaseModel]], BaseModel]
) -> Contributions:
    """Call the hooks of the manager's one plugin, except the observer.

    Args:
        found: The plugin.
        manager: The plugin's manager.
        read_settings: Reads the settings for the plugin's model.

    Raises:
        PluginError: A hook returned something unexpected, or a setting is invalid.
    """
    model = _settings_model(manager)
    return Contributions(
        name=found.name,
        plugin=str(found),
        tools=tuple(tool() for tool in declared_classes(manager)),
        resources=tuple(resource() for resource in declared_classes(manager, ["maas_mcp_resources"])),
        completions=tuple(each() for each in declared_classes(manager, ["maas_mcp_completions"])),
        prompts=tuple(declared_prompts(manager)),
        skills=_skill_packages(manager),
        settings=None if model is None else read_settings(model),
        process_lifespan=_lifespan(manager, PROCESS_LIFESPAN),
        lifespan=_lifespan(manager, LIFESPAN),
        observer=find_observer(manager),
    )


def check_unique(contributions: Contributions, owners: Mapping[str, str]) -> None:
    """Reject a plugin that declares a resource or completion that another plugin, or it itself, declares too.

    Raises:
        PluginError: The message names both plugins.
    """
    seen: set[str] = set()
    for name in contributions.names:
        owner = contributions.plugin if name in seen else owners.get(name)
        if owner is not None:
            raise PluginError(
                f"{contributions.plugin} has {name}, and {owner} has one too. Expected one. "
                "Block one of the plugins, or ask its author to rename it."
            )
        seen.add(name)


def _settings_model(manager: pluggy.PluginManager) -> type[BaseModel] | None:
    for model in hook_results(manager, SETTINGS):
        if not isinstance(model, type) or not issubclass(model, BaseModel):
            raise PluginError(
                f"{SETTINGS}() returned {kind_of(model)}. Expected a pydantic model. "
                f"Write `def {SETTINGS}(): return YourSettings`, with the class."
            )
        return model
    return None


def _lifespan(manager: pluggy.PluginManager, hook: str) -> Callable[[Any], AbstractAsyncContextManager[object]] | None:
    for function in hook_results(manager, hook):
        unmarked = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        if not callable(function) or unmarked or isinstance(function, AbstractAsyncContextManager):
            raise PluginError(
                f"{hook}() returned {kind_of(function)}. Expected a function that returns an async context manager. "
                "Write `@asynccontextmanager`, from contextlib, above it, and return the function without calling it."
            )
        made: Callable[[Any], AbstractAsyncContextManager[object]] = function
        return made
    return None


def contributors(plugins: Collection[Contributions]) -> dict[type, Contributions]:
    """Return the plugin of each declared class."""
    return {declared: each for each in plugins for declared in each.classes}


def _skill_packages(manager: pluggy.PluginManager) -> tuple[str, ...]:
    """The names of the plugin's packages with skills, which are read when they are used."""
    packages = []
    for package in call_hook(manager, SKILLS, "names of packages", '["acme_rescue"]'):
        if not isinstance(package, str) or not all(part.isidentifier() for part in package.split(".")):
            raise PluginError(
                f"{SKILLS}() returned {package!r} in its list. Expected the name of a Python package with a folder "
                "`skills`. Return your package's name, such as `acme_rescue`."
            )
        packages.append(package)
    return tuple(packages)
