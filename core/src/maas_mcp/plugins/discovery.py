"""Discovery of installed plugins without importing them, and the import of single plugins, with stevedore."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Final, NoReturn

from stevedore.named import NamedExtensionManager

from maas_mcp.hookspecs import PLUGIN_GROUP

FIRST_PARTY: Final = frozenset(
    {"maas-mcp-core", "maas-mcp-deploy", "maas-mcp-commission", "maas-mcp-configure", "maas-mcp-inventory"}
)
"""The project's own distributions. Others must not use the names of their plugins and tools."""
UNKNOWN: Final = "unknown"
"""The name or version of a distribution whose metadata has none."""


@dataclass(frozen=True, slots=True)
class FoundPlugin:
    """An installed plugin from its distribution's metadata. It was not imported."""

    name: str
    """The entry point's name, used in allow and block lists and as the prefix of its tools."""
    distribution: str
    """The name for ``pip``."""
    version: str
    requires: tuple[str, ...] = field(repr=False)
    """The distribution's requirements in their original form."""
    entry_point: EntryPoint = field(repr=False)

    @property
    def first_party(self) -> bool:
        """Whether the plugin is part of this project."""
        return normalized_name(self.distribution) in FIRST_PARTY

    def __str__(self) -> str:
        return f"{self.name!r} of {self.distribution} {self.version}"


def variable_of(plugin: str, field: str) -> str:
    """The environment variable of a plugin's setting: ``MAAS_MCP_RESCUE_TIMEOUT``."""
    return f"MAAS_MCP_{plugin.upper().replace('-', '_')}_{field.upper()}"


def normalized_name(name: str) -> str:
    """The name of a distribution in its normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find(group: str = PLUGIN_GROUP) -> list[FoundPlugin]:
    """List all plugins on ``sys.path``, sorted by name and distribution.

    If two distributions use the same name, both are listed. A distribution that is on the path twice is listed once,
    from the place where Python imports it. The path is scanned once.
    """
    return sorted(_found(group), key=lambda found: (found.name, found.distribution, found.entry_point.value))


def load(found: FoundPlugin) -> object:
    """Import one plugin and return its module, or another object that its entry point names.

    Raises:
        BaseException: Any exception of the import, including ``SystemExit``.
    """
    plugin: object = _OnePlugin(found.entry_point).extensions[0].plugin
    return plugin


def _found(group: str) -> Iterator[FoundPlugin]:
    for entry_point in entry_points(group=group):
        if entry_point.dist is not None:
            name, version, requires = _described(entry_point.dist)
            yield FoundPlugin(entry_point.name, name, version, requires, entry_point)


def _described(distribution: Distribution) -> tuple[str, str, tuple[str, ...]]:
    try:
        metadata = distribution.metadata  # read once, because each attribute of the distribution parses the file
        name, version, requires = metadata["Name"], metadata["Version"], metadata.get_all("Requires-Dist")
    except Exception:  # noqa: BLE001 - a directory left by an uninstall raises different errors by Python version
        return UNKNOWN, UNKNOWN, ()
    return name or UNKNOWN, version or UNKNOWN, tuple(requires or ())


class _OnePlugin(NamedExtensionManager):  # type: ignore[type-arg] # stevedore 5.5 is not generic at run time
    """Loads exactly the given entry point, without stevedore's cache.

    stevedore caches the list of entry points in a file in the user's cache directory. A process that can write there
    could make the server import any code, despite the block list. The cache may also be outdated.
    """

    def __init__(self, entry_point: EntryPoint) -> None:
        self._entry_point = entry_point  # before the base class's constructor, which loads
        super().__init__(entry_point.group, [entry_point.name], on_load_failure_callback=_raise)

    def list_entry_points(self) -> list[EntryPoint]:
        """Return the one entry point."""
        return [self._entry_point]


def _raise(_manager: object, _entry_point: EntryPoint, error: BaseException) -> NoReturn:
    raise error
