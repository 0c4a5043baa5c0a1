"""All kinds of objects, by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from maas_inventory.objects.dns import DNS
from maas_inventory.objects.kind import Kind
from maas_inventory.objects.networks import NETWORKS
from maas_inventory.objects.nodes import NODES
from maas_inventory.objects.organisation import ORGANISATION
from maas_inventory.objects.software import SOFTWARE

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {kind.name: kind for kind in (*NETWORKS, *ORGANISATION, *NODES, *DNS, *SOFTWARE)}
)
