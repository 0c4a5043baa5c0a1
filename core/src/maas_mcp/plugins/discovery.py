"""Finding installed plugins without importing any, and importing one at a time: stevedore's part."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Final, NoReturn

from packaging.utils import canonicalize_name
from stevedore.named import NamedExtensionManager

from maas_mcp.hookspecs import PLUGIN_GROUP

FIRST_PARTY: Final = frozenset({"maas-mcp-core", "maas-mcp-deploy", "maas-mcp-commission", "maas-mcp-inventory"})
"""The project's own distributions: no other takes the name of one of their plugins or tools."""
UNKNOWN: Final = "unknown"
"""The name or version of a distribution whose metadata does not tell it."""


@dataclass(frozen=True, slots=True)
class FoundPlugin:
    """An installed plugin, as its distribution's metadata describes it; nothing of it was imported."""

    name: str
    """The entry point's name: what allow and block lists, and the tools' prefix, go by."""
    distribution: str
    """What ``pip`` calls it."""
    version: str
    requires: tuple[str, ...] = field(repr=False)
    """The distribution's requirements, as it wrote them."""
    entry_point: EntryPoint = field(repr=False)

    @property
    def first_party(self) -> bool:
        """Whether the project itself offers it."""
        return canonicalize_name(self.distribution) in FIRST_PARTY

    def __str__(self) -> str:
        return f"{self.name!r} of {self.distribution} {self.version}"


def find(group: str = PLUGIN_GROUP) -> list[FoundPlugin]:
    """Every plugin installed on ``sys.path``, by name and then by distribution.

    Two distributions that offer the same name are both listed. A distribution that is on the path twice counts once,
    where Python would import it from. The path is scanned once.
    """
    return sorted(_found(group), key=lambda found: (found.name, found.distribution, found.entry_point.value))


def load(found: FoundPlugin) -> object:
    """Import one plugin: a module, or whatever object its entry point names.

    Raises:
        BaseException: Whatever importing it raises, ``SystemExit`` included.
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
        metadata = distribution.metadata  # once: each of the distribution's own attributes parses the file again
        name, version, requires = metadata["Name"], metadata["Version"], metadata.get_all("Requires-Dist")
    except Exception:  # noqa: BLE001 - a folder left behind by an uninstall: what it raises differs with Python's version
        return UNKNOWN, UNKNOWN, ()
    return name or UNKNOWN, version or UNKNOWN, tuple(requires or ())


class _OnePlugin(NamedExtensionManager):  # type: ignore[type-arg] # stevedore 5.5 is not generic at run time
    """Loads exactly the entry point that was found.

    By itself stevedore takes the list of entry points from a file below the user's cache directory, if there is one
    for this path. Whoever can write there would decide what code the server imports, block list or not; and a list of
    another process may be out of date. So the list is given, and that file is neither read nor written.
    """

    def __init__(self, entry_point: EntryPoint) -> None:
        self._entry_point = entry_point  # before the base class's constructor, which loads
        super().__init__(entry_point.group, [entry_point.name], on_load_failure_callback=_raise)

    def list_entry_points(self) -> list[EntryPoint]:
        """The one entry point."""
        return [self._entry_point]


def _raise(_manager: object, _entry_point: EntryPoint, error: BaseException) -> NoReturn:
    raise error
