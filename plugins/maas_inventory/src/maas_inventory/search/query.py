"""The text of a search, and how well an object matches it: by its name, another field, or an address inside it."""

import re
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from maas_inventory.objects.row import JSON, ObjectRow

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAC: Final = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE)
EXACT: Final = 100
PREFIX: Final = 80
IN_NAME: Final = 60
IN_FIELD: Final = 40


@dataclass(frozen=True, slots=True)
class Match:
    """How well an object matches: the score, and the field by which it was found."""

    score: int
    field: str


@dataclass(frozen=True)
class Query:
    """The text of a search: a name or part of it, words, a MAC address, an IP address or a network."""

    text: str

    @cached_property
    def words(self) -> list[str]:
        """The words, in lower case."""
        return self.text.lower().split()

    @cached_property
    def address(self) -> Address | None:
        """The IP address, if the text is one."""
        return _read_address(self.text)

    @cached_property
    def network(self) -> Network | None:
        """The network, if the text is one in CIDR notation."""
        return _read_network(self.text) if "/" in self.text else None

    @cached_property
    def mac(self) -> str | None:
        """The MAC address in MAAS's form, if the text is one."""
        return self.text.replace("-", ":").lower() if _MAC.fullmatch(self.text) else None

    def match(self, row: ObjectRow) -> Match | None:
        """Return how well an object matches, or ``None``."""
        if self.address is not None:
            return _match_address(row, self.address)
        values = {row.identity: str(row.key).lower(), row.label: row.display_name.lower()}
        values = {**{name: _text(value) for name, value in row.shown().items()}, **values}
        scores = [Match(self._score(row, name, value), name) for name, value in values.items()]
        best = max(scores, key=lambda match: match.score)
        if best.score:
            return best
        # The words may be in several fields.
        spread = all(any(word in value for value in values.values()) for word in self.words)
        return Match(IN_FIELD, next(iter(values))) if spread else None

    def _score(self, row: ObjectRow, field: str, value: str) -> int:
        wanted, is_name = self.mac or " ".join(self.words), field == row.label
        if value == wanted:
            return EXACT if is_name or field == row.identity else EXACT - 1
        if self.mac is None and is_name and value.startswith(wanted):
            return PREFIX
        found = wanted in value if self.mac else all(word in value for word in self.words)
        return 0 if not found else IN_NAME if is_name else IN_FIELD


def _text(value: JSON) -> str:
    return " ".join(map(str, value)).lower() if isinstance(value, list) else str(value).lower()


def _match_address(row: ObjectRow, address: Address) -> Match | None:
    """Match objects that have an address, or a network or range that contains it. A small network matches better."""
    start, end = (_read_address(getattr(row, name, None)) for name in ("start_ip", "end_ip"))
    if start and end and start.version == end.version == address.version and int(start) <= int(address) <= int(end):
        return Match(IN_NAME, "range")
    for name, value in row.shown().items():
        for each in value if isinstance(value, list) else [value]:
            if _read_address(each) == address:
                return Match(EXACT, name)
            network = _read_network(each) if isinstance(each, str) and "/" in each else None
            if network is not None and address in network and name == "cidr":
                return Match(PREFIX - network.max_prefixlen + network.prefixlen, name)
    return None


def _read_address(text: JSON) -> Address | None:
    try:
        return ip_address(text.strip()) if isinstance(text, str) else None
    except ValueError:
        return None


def _read_network(text: str) -> Network | None:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None
