"""The zones, resource pools, tags and DNS domain of a region, as records."""

from collections.abc import Mapping
from typing import Final

from maas_simulator.model.records import Tables

ZONES: Final = {"az1": "Zone one", "az2": "Zone two"}
POOLS: Final = {"compute": "Compute pool", "storage": "Storage pool"}
TAGS: Final = {"gpu": "has a GPU", "ssd": "", "kvm-capable": "VT-x", "virtual": ""}
"""Names with their descriptions or comments, in a region that no world file defines."""

Described = Mapping[str, str | None]


def add_default_organisation(tables: Tables) -> None:
    """Add everything that machines refer to by name."""
    set_zones(tables, ZONES)
    set_pools(tables, POOLS)
    set_tags(tables, TAGS)
    tables["Domain"].add(name="maas", authoritative=True, ttl=None)


def set_zones(tables: Tables, zones: Described) -> None:
    """Replace the zones. The default zone always exists."""
    _describe(tables, "Zone", {"default": "", **zones})


def set_pools(tables: Tables, pools: Described) -> None:
    """Replace the resource pools. The default pool always exists."""
    _describe(tables, "ResourcePool", {"default": "Default pool", **pools})


def set_tags(tables: Tables, tags: Described) -> None:
    """Replace the tags. MAAS itself gives ``kvm-capable`` to machines, by its definition."""
    table = tables.clear_table("Tag")
    for name, comment in tags.items():
        definition = "//capability[@id='vmx']" if name == "kvm-capable" else ""
        table.add(name=name, comment=comment or "", definition=definition, kernel_opts="")


def _describe(tables: Tables, kind: str, described: Described) -> None:
    table = tables.clear_table(kind)
    for name, description in described.items():
        table.add(name=name, description=description or "")
