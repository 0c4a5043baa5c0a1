"""The names of the kinds of objects, as the argument of a tool. The kinds themselves are imported by the first call."""

from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

NAMES: Final = (
    "subnet", "vlan", "fabric", "space", "ip_range", "ip_address", "reserved_ip", "static_route", "discovery", "zone",
    "pool", "tag", "user", "notification", "rack_controller", "region_controller", "vm_host", "device", "domain",
    "dns_record", "image", "image_source", "script", "package_repository",
)  # fmt: skip
"""The kinds of :data:`maas_inventory.objects.catalogue.KINDS`."""

MACHINE: Final = "machine"
"""The kind of machines in a search."""


def _normalize(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _check_kind(name: str) -> str:
    from maas_inventory.objects.catalogue import KINDS  # noqa: PLC0415 - its models take a hundredth of the start-up

    spellings = {
        _normalize(spelling): kind.name for kind in KINDS.values() for spelling in (kind.nouns, kind.noun, kind.name)
    }
    known = spellings.get(_normalize(name)) or spellings.get(_normalize(name).removesuffix("s"))
    if known is None:
        raise ValueError(f"expected one of {', '.join(NAMES)}")
    return known


KindName = Annotated[str, AfterValidator(_check_kind), WithJsonSchema({"type": "string", "enum": list(NAMES)})]
"""The name of a kind. The kind's nouns are accepted as well: ``subnets``, ``VM host``, ``resource pools``."""
