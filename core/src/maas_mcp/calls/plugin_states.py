"""The settings and states of plugins, for the calls that need them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from anyio.abc import TaskGroup

from maas_mcp.calls.lifespans import Lifespans
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.declaring.plugin_services import LifespanContext, Missing, PluginServices
from maas_mcp.operations.event_news import Events
from maas_mcp.plugins.contributions import Contributions, contributors


class ProcessPlugins:
    """The loaded plugins of a process, and their states for the process.

    Args:
        tasks: The task group of the process lifespans.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._lifespans = Lifespans(tasks)
        self._contributors: dict[type, Contributions] = {}

    def use(self, plugins: Sequence[Contributions]) -> None:
        """Use these plugins from now on."""
        self._contributors = contributors(plugins)

    def owner(self, declared: object) -> Contributions | None:
        """The plugin of a declared tool, operation, resource or completion, or of the class that it extends."""
        return next((self._contributors[each] for each in type(declared).__mro__ if each in self._contributors), None)

    async def state(self, plugin: Contributions) -> object:
        """The value of the plugin's process lifespan.

        Raises:
            MaasMcpError: The lifespan could not be entered.
        """
        lifespan = plugin.process_lifespan
        if lifespan is None:
            return Missing.MISSING
        return await self._lifespans.value(plugin.plugin, lambda: lifespan(plugin.settings))

    def close(self) -> None:
        """Leave the process lifespans."""
        self._lifespans.close()


class PluginStates:
    """The settings and states of plugins for one principal.

    Args:
        plugins: The plugins of the process.
        tasks: The task group of the principal's lifespans.
        maas: Returns the principal's MAAS client.
        events: Returns the events of the region that the principal may see.
        resource_updated: Announces an updated resource to the principal.
    """

    def __init__(
        self,
        plugins: ProcessPlugins,
        tasks: TaskGroup,
        maas: Callable[[], MaasClient],
        events: Callable[[], Events],
        resource_updated: Callable[[str], None],
    ) -> None:
        self._plugins = plugins
        self._maas = maas
        self._events = events
        self._resource_updated = resource_updated
        self._lifespans = Lifespans(tasks)
        self._opened: dict[str, PluginServices] = {}

    async def open(self, declared: object) -> PluginServices:
        """The services of the plugin that has declared a tool or a resource. Its lifespans are entered if necessary.

        Raises:
            MaasMcpError: A lifespan could not be entered.
        """
        plugin = self._plugins.owner(declared)
        if plugin is None:
            return PluginServices(resource_updated=self._resource_updated)
        state = await self._plugins.state(plugin)
        if plugin.lifespan is not None:
            state = await self._lifespans.value(plugin.plugin, self._enter(plugin, state))
        services = self._services(plugin, state)
        self._opened[plugin.plugin] = services
        return services

    def services(self, declared: object) -> PluginServices:
        """The same as :meth:`open` for a plugin that was opened. Another one has no state."""
        plugin = self._plugins.owner(declared)
        if plugin is None:
            return PluginServices(resource_updated=self._resource_updated)
        return self._opened.get(plugin.plugin) or self._services(plugin, Missing.MISSING)

    def _services(self, plugin: Contributions, state: object) -> PluginServices:
        settings = Missing.MISSING if plugin.settings is None else plugin.settings
        return PluginServices(settings, state, self._resource_updated)

    def _enter(self, plugin: Contributions, process: object) -> Callable[[], AbstractAsyncContextManager[object]]:
        def enter() -> AbstractAsyncContextManager[object]:
            if plugin.lifespan is None:
                raise TypeError(f"{plugin.plugin} has no lifespan")
            known = None if process is Missing.MISSING else process
            return plugin.lifespan(LifespanContext(self._maas(), plugin.settings, known, self._events()))

        return enter

    def close(self) -> None:
        """Leave the lifespans."""
        self._lifespans.close()
