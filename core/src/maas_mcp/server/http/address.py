"""The address that HTTP is served on, and whether that is safe."""

import re
from dataclasses import dataclass
from typing import Final

from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import is_loopback

_FORM: Final = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]/\s]+)):(?P<port>\d{1,5})")
LARGEST_PORT: Final = 65_535
LOOPBACK_HOSTS: Final = ("127.0.0.1:*", "localhost:*", "[::1]:*")


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """Where to listen."""

    host: str
    port: int
    """0 takes a free one."""

    @classmethod
    def parse(cls, text: str) -> "HttpAddress":
        """Read ``HOST:PORT`` or ``[IPV6]:PORT``.

        Raises:
            SettingsError: It is not an address of this form.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None or int(match["port"]) > LARGEST_PORT:
            raise SettingsError(
                f"{text!r} is not an address to serve HTTP on: expected HOST:PORT.",
                hint="For example 127.0.0.1:8000, or [::1]:8000 for IPv6.",
            )
        return cls(match["ipv6"] or match["host"], int(match["port"]))

    def check_safe(self) -> None:
        """Refuse an address that other hosts can reach.

        Raises:
            SettingsError: It is not a loopback address.
        """
        if not is_loopback(self.host):
            raise SettingsError(
                f"{self.host} can be reached from other hosts, and this server cannot tell its HTTP clients apart: "
                "each of them would have the rights of MAAS_API_KEY.",
                hint="Serve on a loopback address, such as 127.0.0.1:8000.",
            )
