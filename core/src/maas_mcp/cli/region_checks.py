"""The doctor's checks of the region's clock and of certificates that expire soon."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import anyio
from anyio.streams.tls import TLSAttribute

from maas_mcp.cli.findings import Finding, Mark
from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.observer import Exchange

SKEW_LIMIT: Final = 60
"""Seconds by which the clocks may differ without a warning."""
SIGNATURE_AGE: Final = 300
"""Seconds after which MAAS rejects a signature (MAAS 3.7.3, recorded)."""
EXPIRES_SOON: Final = timedelta(days=30)
CONNECT_LIMIT: Final = 10.0
"""Seconds to read the region's certificate."""


class Clock:
    """Compares this host's clock with that of the region, by the header Date of its latest response."""

    def __init__(self) -> None:
        self.skew: float | None = None
        """Seconds by which the region is ahead of this host; ``None`` if unknown."""

    @contextmanager
    def observe(self, exchange: Exchange) -> Iterator[None]:
        """Observe a request. The region has written its answer at some time during it."""
        began = time.time()
        yield
        if exchange.date is None:
            return
        with suppress(ValueError):
            self.skew = parsedate_to_datetime(exchange.date).timestamp() - (began + time.time()) / 2


def judge_clock(skew: float) -> Finding:
    """Check the difference of the clocks. MAAS rejects a request whose signature seems old."""
    if abs(skew) <= SKEW_LIMIT:
        return Finding(Mark.PASSED, "Clock", f"agrees with the region's within {SKEW_LIMIT} s")
    detail = f"this host is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the region"
    hint = "Synchronize the clocks of both hosts with NTP, for example with `timedatectl set-ntp true`."
    if skew >= SIGNATURE_AGE:
        return Finding(Mark.FAILED, "Clock", f"{detail}, so MAAS rejects its signatures as too old", hint)
    return Finding(Mark.WARNING, "Clock", detail, hint)


async def read_region_certificate(region: RegionAccess) -> datetime | None:
    """Return when the region's certificate expires; ``None`` if it cannot be read, which other checks report."""
    from cryptography import x509  # noqa: PLC0415 - takes long, and --help does not need it

    from maas_mcp.maas.tls import tls_context  # noqa: PLC0415 - with the transport

    parts = urlsplit(region.api_url)
    with suppress(Exception), anyio.fail_after(CONNECT_LIMIT):
        stream = await anyio.connect_tcp(
            parts.hostname or "",
            parts.port or 443,
            tls=True,
            ssl_context=tls_context(region),
            tls_standard_compatible=False,
        )
        async with stream:
            found = stream.extra(TLSAttribute.peer_certificate_binary)  # noqa: S610 - of anyio's stream, and not of Django
            return x509.load_der_x509_certificate(found or b"").not_valid_after_utc
    return None


def judge_server_certificate(path: Path) -> Finding:
    """Check the certificates that this server presents to its HTTP clients."""
    from cryptography import x509  # noqa: PLC0415 - takes long, and --help does not need it

    check = "HTTPS certificate"
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has no PEM certificate"
        hint = "Set MAAS_MCP_HTTP_TLS_CERT to a readable PEM file with the certificate chain."
        return Finding(Mark.FAILED, check, f"{path} cannot be used: {reason}", hint)
    renew = f"Renew {path}, and restart the server."
    return judge_expiry(check, min(each.not_valid_after_utc for each in found), renew)


def judge_expiry(check: str, expires: datetime, renew: str, now: datetime | None = None) -> Finding:
    """Check when a certificate expires.

    Args:
        check: The name of the check.
        expires: When it expires.
        renew: How to renew it, as a sentence.
        now: The time; by default now.
    """
    left = expires - (now or datetime.now(UTC))
    if left <= timedelta(0):
        return Finding(Mark.FAILED, check, f"expired on {expires:%Y-%m-%d}", renew)
    detail = f"valid until {expires:%Y-%m-%d}"
    if left <= EXPIRES_SOON:
        return Finding(Mark.WARNING, check, f"{detail}, which is in {left.days} days", renew)
    return Finding(Mark.PASSED, check, detail)
