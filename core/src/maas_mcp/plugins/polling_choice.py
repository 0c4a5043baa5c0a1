"""The polling strategy from the settings, which replaces each operation's own, loaded with stevedore's driver."""

import logging
from importlib.metadata import EntryPoint
from typing import Final, NoReturn

from stevedore.driver import DriverManager

from maas_mcp.errors import SettingsError
from maas_mcp.operations.declaring.strategy_checks import check_strategy
from maas_mcp.operations.judging.strategies import PollingStrategy
from maas_mcp.plugins.discovery import FoundPlugin, find
from maas_mcp.plugins.import_watch import ImportWatch, UserInterrupt

logger = logging.getLogger(__name__)

POLLING_GROUP: Final = "maas_mcp.polling.v1"
"""The entry point group of polling strategies: instances of ``PollingStrategy``, or subclasses without arguments."""


def chosen_strategy(name: str, group: str = POLLING_GROUP) -> PollingStrategy | None:
    """Import the strategy installed as ``name``, and no other. Returns ``None`` for an empty name.

    Raises:
        SettingsError: No strategy has this name, several have it, or it cannot be used.
    """
    if not name:
        return None
    installed = find(group)
    named = [found for found in installed if found.name == name]
    if not named:
        names = ", ".join(sorted({found.name for found in installed})) or "none"
        raise SettingsError(
            f"MAAS_MCP_POLLING is {name!r}, but no polling strategy of that name is installed. Installed: {names}.",
            hint="Install the package that provides it, or leave MAAS_MCP_POLLING empty to use each operation's own.",
        )
    own = [found for found in named if found.first_party]
    if len(own) == 1:
        rivals = ", ".join(found.distribution for found in named if found is not own[0])
        if rivals:
            logger.warning(
                "MAAS_MCP_POLLING is %r: using %s instead of the strategy of that name from %s", name, own[0], rivals
            )
        return _strategy(own[0])
    if len(named) > 1:
        raise SettingsError(
            f"MAAS_MCP_POLLING is {name!r}, but more than one distribution provides it: "
            f"{', '.join(sorted(found.distribution for found in named))}.",
            hint="Uninstall all but one.",
        )
    return _strategy(named[0])


def _strategy(found: FoundPlugin) -> PollingStrategy:
    where = f"The polling strategy {found}"
    try:
        with ImportWatch() as watch, watch.step(f"importing {found.entry_point.value} (polling strategy {found})"):
            loaded: object = _Driver(found.entry_point).driver
            strategy = loaded() if isinstance(loaded, type) and issubclass(loaded, PollingStrategy) else loaded
    except UserInterrupt:
        raise
    except BaseException as error:  # a third-party module may raise anything, or even call sys.exit()
        raise SettingsError(
            f"{where} cannot be loaded: {type(error).__name__}: {error}",
            hint="Fix or update that package, or leave MAAS_MCP_POLLING empty.",
        ) from error
    correct = f"Correct the entry point {found.name} = {found.entry_point.value} of {found.distribution}."
    if not isinstance(strategy, PollingStrategy):
        raise SettingsError(
            f"{where} is invalid: expected a subclass or an instance of PollingStrategy, "
            f"got {type(strategy).__name__}.",
            hint=correct,
        )
    try:
        check_strategy(found.name, strategy)
    except Exception as error:  # its `needs` may be a property that raises anything
        raise SettingsError(f"{where} cannot be used: {error}", hint=correct) from error
    return strategy


class _Driver(DriverManager):  # type: ignore[type-arg] # stevedore 5.5 is not generic at run time
    """Loads exactly the given entry point, without stevedore's cache.

    A process that can write to the cache, a file of the user, could make the server import any code.
    """

    def __init__(self, entry_point: EntryPoint) -> None:
        self._entry_point = entry_point  # before the base class's constructor, which loads
        super().__init__(entry_point.group, entry_point.name, on_load_failure_callback=_raise)

    def list_entry_points(self) -> list[EntryPoint]:
        """Return the one entry point."""
        return [self._entry_point]


def _raise(_manager: object, _entry_point: EntryPoint, error: BaseException) -> NoReturn:
    raise error
