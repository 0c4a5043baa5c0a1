"""A plugin's own settings and state, as the contexts of its tools, operations and resources provide them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic

from typing_extensions import TypeVar

from maas_mcp.errors import PluginError
from maas_mcp.maas.client import MaasClient
from maas_mcp.operations.event_news import Events

SettingsT = TypeVar("SettingsT", default=Any)
"""The plugin's settings model."""
StateT = TypeVar("StateT", default=Any)
"""The value that the plugin's lifespan yields."""
ProcessT = TypeVar("ProcessT", default=Any)
"""The value that the plugin's process lifespan yields."""


class Missing(Enum):
    """The value of something that a plugin does not declare. ``None`` may be a lifespan's own value."""

    MISSING = "missing"


def ignore_update(_uri: str) -> None:
    """Announce no update."""


@dataclass(frozen=True, slots=True)
class PluginServices:
    """The settings and the state of the plugin whose code runs."""

    settings: object = Missing.MISSING
    state: object = Missing.MISSING
    resource_updated: Callable[[str], None] = ignore_update
    """Announces an update of a resource to the caller's subscriptions."""

    def require_settings(self) -> Any:
        """Return the settings.

        Raises:
            PluginError: The plugin declares none.
        """
        if self.settings is Missing.MISSING:
            raise PluginError(
                "`ctx.settings` is not available: the plugin declares no settings.",
                hint="Return a pydantic model from the hook `maas_mcp_settings`.",
            )
        return self.settings

    def require_state(self) -> Any:
        """Return the state.

        Raises:
            PluginError: The plugin declares no lifespan.
        """
        if self.state is Missing.MISSING:
            raise PluginError(
                "`ctx.state` is not available: the plugin declares no lifespan.",
                hint="Return an async context manager from the hook `maas_mcp_lifespan`.",
            )
        return self.state


NO_SERVICES: Final = PluginServices()
"""The services for code that belongs to no plugin."""


class UsesPlugin(Generic[SettingsT, StateT]):
    """The attributes of a context that provides the plugin's settings and state."""

    __slots__ = ()

    if TYPE_CHECKING:  # a slot of each context

        @property
        def plugin(self) -> PluginServices:
            """The settings and the state."""

    @property
    def settings(self) -> SettingsT:
        """The plugin's own settings: an instance of the model that ``maas_mcp_settings`` returns."""
        settings: SettingsT = self.plugin.require_settings()
        return settings

    @property
    def state(self) -> StateT:
        """The value that the plugin's lifespan yields for the caller; without one, the value for the process."""
        state: StateT = self.plugin.require_state()
        return state


@dataclass(frozen=True, slots=True)
class LifespanContext(Generic[SettingsT, ProcessT]):
    """Services for a plugin's lifespan of one caller."""

    maas: MaasClient
    """The client for the MAAS region. It uses the API key of the caller."""
    settings: SettingsT
    """The plugin's settings, an instance of the model that ``maas_mcp_settings`` returns; ``None`` without any."""
    process: ProcessT
    """The value that the plugin's process lifespan yields; ``None`` without any."""
    events: Events
    """The region's events: ``with ctx.events.listen(listener)`` passes new events of all machines to a function."""
