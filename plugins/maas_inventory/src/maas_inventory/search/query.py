"""The text of a search, and how well an object matches it: by its name, another field, or an address inside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from maas_inventory.informer.filters import read_mac
from maas_inventory.values import JSON, has_value

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

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
        return read_mac(self.text)

    def match(self, values: Mapping[str, JSON], label: str, identity: str) -> Match | None:
        """Return how well an object matches, or ``None``.

        Args:
            values: The values of its fields.
            label: The field with its name.
            identity: The field with its identity.
        """
        if self.address is not None:
            return _match_address(values, self.address)
        texts = {name: _text(value) for name, value in values.items() if has_value(value)}
        scores = [Match(self._score(text, name, label, identity), name) for name, text in texts.items()]
        best = max(scores, key=lambda match: match.score, default=None)
        if best is None or best.score:
            return best
        # The words may be in several fields.
        spread = self.mac is None and all(any(word in text for text in texts.values()) for word in self.words)
        return Match(IN_FIELD, label) if spread else None

    def _score(self, text: str, field: str, label: str, identity: str) -> int:
        wanted, is_name = self.mac or " ".join(self.words), field == label
        if text == wanted:
            return EXACT if field in (label, identity) else EXACT - 1
        if self.mac is None and is_name and text.startswith(wanted):
            return PREFIX
        found = wanted in text if self.mac else all(word in text for word in self.words)
        return 0 if not found else IN_NAME if is_name else IN_FIELD


def _text(value: JSON) -> str:
    return " ".join(map(str, value)).lower() if isinstance(value, list) else str(value).lower()


def _match_address(values: Mapping[str, JSON], address: Address) -> Match | None:
    """Match objects that have an address, or a network or range that contains it. A small network matches better."""
    start, end = (_read_address(values.get(name)) for name in ("start_ip", "end_ip"))
    if start and end and start.version == end.version == address.version and int(start) <= int(address) <= int(end):
        return Match(IN_NAME, "range")
    for name, value in values.items():
        if any(_read_address(each) == address for each in (value if isinstance(value, list) else [value])):
            return Match(EXACT, name)
    network = _read_network(values.get("cidr"))
    if network is not None and address in network:
        return Match(PREFIX - network.max_prefixlen + network.prefixlen, "cidr")
    return None


def _read_address(text: JSON) -> Address | None:
    try:
        return ip_address(text.strip()) if isinstance(text, str) else None
    except ValueError:
        return None


def _read_network(text: JSON) -> Network | None:
    try:
        return ip_network(text.strip(), strict=False) if isinstance(text, str) else None
    except ValueError:
        return None
