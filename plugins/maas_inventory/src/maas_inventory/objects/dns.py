"""DNS: the domains, and the names in them with their addresses and other records."""

from collections.abc import Mapping
from typing import Final

from maas_inventory.objects.kind import Kind
from maas_inventory.objects.row import UNREADABLE, UNSET, Flag, ObjectRow, Whole, each, taken_from
from maas_inventory.values import JSON
from maas_mcp.api import MachineText


class Domain(ObjectRow):
    """A domain."""

    sources = taken_from(records=("resource_record_count",))

    id: Whole
    name: MachineText = UNSET
    is_default: Flag = UNSET
    authoritative: Flag = UNSET
    ttl: Whole | None = None
    records: Whole = UNSET


def _records(name: Mapping[str, JSON]) -> JSON:
    records = name.get("resource_records")
    if not isinstance(records, list):
        return UNREADABLE
    return [f"{one.get('rrtype')} {one.get('rrdata')}" if isinstance(one, dict) else UNREADABLE for one in records]


class DnsName(ObjectRow):
    """A name in a domain, with its addresses and its other records. Names of machines are not among them."""

    label = "fqdn"
    sources = taken_from(ip_addresses=each("ip_addresses", "ip"), records=_records, ttl=("address_ttl",))

    id: Whole
    fqdn: MachineText = UNSET
    ip_addresses: list[MachineText] = UNSET
    records: list[MachineText] = UNSET
    ttl: Whole | None = None


DNS: Final = (
    Kind(name="domain", noun="domain", row=Domain, path="domains/"),
    Kind(name="dns_record", noun="DNS record", row=DnsName, path="dnsresources/"),
)
"""The kinds of DNS."""
