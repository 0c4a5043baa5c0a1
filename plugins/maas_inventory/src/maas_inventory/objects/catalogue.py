"""All kinds of objects, by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from maas_inventory.objects.dns import DNS
from maas_inventory.objects.kind import Kind
from maas_inventory.objects.networks import NETWORKS
from maas_inventory.objects.nodes import NODES
from maas_inventory.objects.organisation import ORGANISATION
from maas_inventory.objects.software import SOFTWARE

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {kind.name: kind for kind in (*NETWORKS, *ORGANISATION, *NODES, *DNS, *SOFTWARE)}
)


def _normalize(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


_BY_SPELLING: Final = {
    _normalize(spelling): kind.name for kind in KINDS.values() for spelling in (kind.nouns, kind.noun, kind.name)
}


def _check_kind(name: str) -> str:
    known = _BY_SPELLING.get(_normalize(name)) or _BY_SPELLING.get(_normalize(name).removesuffix("s"))
    if known is None:
        raise ValueError(f"expected one of {', '.join(KINDS)}")
    return known


KindName = Annotated[str, AfterValidator(_check_kind), WithJsonSchema({"type": "string", "enum": list(KINDS)})]
"""The name of a kind. The kind's nouns are accepted as well: ``subnets``, ``VM host``, ``resource pools``."""
