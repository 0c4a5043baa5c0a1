"""Filters of machines: whether a row matches, and how MAAS is asked for the same."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from maas_mcp.api import FormValue, MachineStatus

if TYPE_CHECKING:  # it imports msgspec, which no call needs before the first list of machines
    from maas_inventory.informer.rows import Row

_GLOB: Final = frozenset("*?[")
_MAC: Final = re.compile(r"[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4,}|(?:[0-9a-f]{4}\.){2,}[0-9a-f]{4}")
Test = Callable[["Row"], bool]


def read_mac(text: str) -> str | None:
    """Return a MAC address as MAAS shows it, also from ``52-54-00-AA-07-01`` or ``5254.00aa.0701``.

    ``None`` if the text is none.
    """
    text = text.strip().lower()
    if _MAC.fullmatch(text) is None:
        return None
    digits = re.sub(r"[^0-9a-f]", "", text)
    return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2))


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Conditions on machines; all of those given must hold. An empty tuple is no condition.

    In a tuple one value suffices, except for ``tags``, which must all be there.
    """

    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Hostnames or FQDNs, in any case, also with ``*``, ``?`` and ``[…]``."""
    statuses: tuple[int, ...] = ()
    zones: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    """User names; an empty one stands for machines without an owner."""
    architectures: tuple[str, ...] = ()
    """``amd64`` matches ``amd64/generic`` too."""
    power_states: tuple[str, ...] = ()
    mac_addresses: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    """Addresses, or networks in CIDR notation."""
    agent_name: str | None = None
    """Only MAAS knows it, and is asked each time."""
    min_cpu_count: int = 0
    min_memory: int = 0
    min_storage: float = 0.0

    def select(self, rows: Iterable["Row"]) -> "list[Row]":
        """The rows that meet all conditions that rows show: all but ``agent_name``."""
        selected = list(rows)
        for test in self._tests:
            selected = [row for row in selected if test(row)]
        return selected

    def matches(self, row: "Row") -> bool:
        """Whether a row meets all conditions that rows show."""
        return bool(self.select([row]))

    @cached_property
    def _tests(self) -> Sequence[Test]:
        return tuple(self._each_test())

    def _each_test(self) -> Iterator[Test]:
        for name, values in (
            ("system_id", self.ids),
            ("status", self.statuses),
            ("zone", self.zones),
            ("pool", self.pools),
            ("power_state", self.power_states),
        ):
            if values:
                yield _is_one_of(name, frozenset(values))
        for name, least in (
            ("cpu_count", self.min_cpu_count),
            ("memory", self.min_memory),
            ("storage", self.min_storage),
        ):
            if least:
                yield _is_at_least(name, least)
        yield from self._each_test_of_lists()
        if self.names:
            yield _is_called(self.names)

    def _each_test_of_lists(self) -> Iterator[Test]:
        for values, of_row in (
            (self.owners, lambda row: (row.owner or "",)),
            (self.architectures, lambda row: (row.architecture, (row.architecture or "").partition("/")[0])),
            ([each.lower() for each in self.mac_addresses], lambda row: row.mac_addresses),
        ):
            if values:
                yield _has_one_of(frozenset(values), of_row)
        if self.ip_addresses:
            yield _has_address_in(self.ip_addresses)
        if self.tags:
            yield lambda row: set(self.tags).issubset(row.tag_names)
        if self.not_tags:
            yield lambda row: set(self.not_tags).isdisjoint(row.tag_names)

    def find_missing(self, rows: Sequence["Row"]) -> list[str]:
        """The given names, ids and MAC addresses that none of these rows has. A pattern is never missing."""
        missing = [name for name in self.names if _is_exact(name) and not any(map(_is_called([name]), rows))]
        if self.ids:
            ids = {row.system_id for row in rows}
            missing += [each for each in self.ids if each not in ids]
        if self.mac_addresses:
            macs = {mac for row in rows for mac in row.mac_addresses}
            missing += [each for each in self.mac_addresses if each.lower() not in macs]
        return missing

    @property
    def is_selective(self) -> bool:
        """Whether MAAS can be asked for the matching machines, and these are probably few."""
        named = bool(self.names) and all(map(_is_exact, self.names))
        return bool(named or self.ids or self.tags or self.mac_addresses or self.agent_name or any(self.owners))

    def query(self) -> dict[str, FormValue]:
        """MAAS's own filters for this one. What they do not express, :meth:`matches` does."""
        query: dict[str, FormValue] = {
            "id": self.ids,
            "status": [each.filter_value for each in MachineStatus if each in self.statuses],
            "zone": self.zones,
            "pool": self.pools,
            "tags": self.tags,
            "not_tags": self.not_tags,
            "power_state": self.power_states,
            "mac_address": self.mac_addresses,
            "agent_name": self.agent_name,
        }
        if all(self.owners):
            query["owner"] = self.owners
        if self.names and all(map(_is_exact, self.names)):
            # MAAS compares hostnames exactly, without domains.
            labels = [name.strip().partition(".")[0] for name in self.names]
            query["hostname"] = sorted({*labels, *map(str.lower, labels)})
        return {name: value for name, value in query.items() if value}


EVERY: Final = Filter()
"""Matches every machine."""


def _is_one_of(name: str, values: frozenset[object]) -> Test:
    return lambda row: getattr(row, name) in values


def _is_at_least(name: str, least: float) -> Test:
    return lambda row: getattr(row, name) >= least


def _has_one_of(values: frozenset[str], of_row: Callable[["Row"], Iterable[str | None]]) -> Test:
    return lambda row: not values.isdisjoint(of_row(row))


def _has_address_in(values: Iterable[str]) -> Test:
    networks = [ip_network(each, strict=False) for each in values]

    def has_address(row: "Row") -> bool:
        return any(_is_in(each, network) for each in row.ip_addresses for network in networks)

    return has_address


def _is_in(address: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(address) in network
    except ValueError:  # MAAS may send anything
        return False


def _is_exact(name: str) -> bool:
    return _GLOB.isdisjoint(name)


def _is_called(names: Sequence[str]) -> Test:
    patterns = [translate(name.strip().rstrip(".").lower()) for name in names]
    match = re.compile("|".join(f"(?:{each})" for each in patterns)).match

    def is_called(row: "Row") -> bool:
        fqdn = row.fqdn or f"{row.hostname}.{row.domain or ''}"
        return match(row.hostname.lower()) is not None or match(fqdn.lower()) is not None

    return is_called
