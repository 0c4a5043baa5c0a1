"""Discovery of plugins without imports and without stevedore's cache."""

import shutil
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path

import pytest

from maas_mcp.plugins.discovery import UNKNOWN, find, load
from maas_mcp.plugins.registry import load_registry

Install = Callable[..., str]


def test_discovery_imports_nothing(install: Install, group: str) -> None:
    module = install("rescue", "raise AssertionError('imported')")
    assert [found.name for found in find(group)] == ["rescue"]
    assert module not in sys.modules


def test_plugins_are_listed_by_name_with_distribution_and_version(install: Install, group: str) -> None:
    install("zeta", "", distribution="acme-one")
    install("alpha", "", distribution="acme-two", requires=["maas-mcp-core>=0.1", "rich"])
    listed = [(found.name, found.distribution, found.version, found.requires) for found in find(group)]
    assert listed == [
        ("alpha", "acme-two", "1.0", ("maas-mcp-core>=0.1", "rich")),
        ("zeta", "acme-one", "1.0", ("maas-mcp-core>=0.1,<0.2",)),
    ]


def test_two_distributions_with_the_same_plugin_name_are_both_found(install: Install, group: str) -> None:
    install("rescue", "", distribution="acme-two")
    install("rescue", "", distribution="acme-one")
    assert [found.distribution for found in find(group)] == ["acme-one", "acme-two"]


def test_a_distribution_on_the_path_twice_is_listed_once(
    install: Install, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("rescue", "")
    shutil.copytree(tmp_path / "site", tmp_path / "copy")
    monkeypatch.syspath_prepend(tmp_path / "copy")
    (found,) = find(group)
    assert found.distribution == "acme-rescue"


def test_an_empty_group_has_no_plugins() -> None:
    assert find("maas_mcp.nobody.has.this.group") == []


def test_the_remains_of_an_uninstall_are_listed_without_a_distribution(
    install: Install, group: str, site: Path
) -> None:
    install("rescue", "")
    (site / "acme_rescue-1.0.dist-info" / "METADATA").unlink()
    (found,) = find(group)
    assert (found.name, found.distribution, found.version) == ("rescue", UNKNOWN, UNKNOWN)


def test_an_entry_point_may_name_an_object_inside_a_module(install: Install, group: str) -> None:
    module = install("rescue", "plugin = object()", value="{module}:plugin")
    (found,) = find(group)
    assert load(found) is sys.modules[module].plugin


def test_loading_raises_the_plugins_exception(install: Install, group: str) -> None:
    install("rescue", "raise SystemExit(3)")
    (found,) = find(group)
    with pytest.raises(SystemExit):
        load(found)


class Counting(DistributionFinder):
    """Counts the scans of the path for distributions."""

    def __init__(self) -> None:
        self.scans = 0

    def find_spec(self, *_: object) -> None:
        """Find no modules."""

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> Iterable[Distribution]:
        self.scans += context is None or context.name is None
        return []


def test_the_path_is_scanned_once_for_any_number_of_plugins(
    install: Install, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        install(name, f"@hookimpl\ndef maas_mcp_tools():\n    return [tool('{name}_ping')]\n")
    finder = Counting()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    assert len(load_registry(group=group).tools) == 3
    assert finder.scans == 1
