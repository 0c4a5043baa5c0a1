"""The TLS context for the region, and hints for certificates that are not trusted."""

import os
import re
import ssl
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.streams.tls import TLSAttribute

from maas_mcp.errors import MaasTlsError, SettingsError
from maas_mcp.maas.address import RegionAccess
from maas_mcp.text_files import decode_text, read_bytes

_SYSTEM_VERIFIES: Final = sys.platform in {"darwin", "win32"}
_HOST_MISMATCH: Final = (62, 64, -67602, 0x800B010F)  # OpenSSL: name mismatch, address mismatch; macOS; Windows
_CERTIFICATE_TIMEOUT: Final = 5.0
"""Seconds for reading the host names of a certificate."""
_MAX_NAMES: Final = 5
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----[!-~\s]*?-----END CERTIFICATE-----", re.ASCII)
_DER: Final = b"\x30\x82"
_HASHED_FILE_NAMES: Final = "????????.[0-9]"
"""OpenSSL's file names for certificates in a directory (``openssl rehash``)."""

_EXPIRED: Final = (
    "Renew the region's certificate (`sudo maas config-tls enable`) or that of its CA. If they are new, check the clock"
    " of this machine, which shows {now}."
)
_NOT_YET_VALID: Final = (
    "Check the clock of this machine, which shows {now}. If it is correct, check the region's clock."
)
_HOST_MISMATCH_HINT: Final = (
    "Set MAAS_URL to a host name in the certificate, or install a certificate that has {host} as a subject alternative"
    " name."
)
_UNKNOWN_ISSUER: Final = (
    "Set MAAS_CA_BUNDLE to the PEM file of the CA that signed it, or of the certificate itself if it is self-signed."
    " Verification cannot be turned off."
)
_NOT_IN_BUNDLE: Final = (
    "The CA that signed it is not in {bundle}, the file of MAAS_CA_BUNDLE. Add that CA, and intermediate CAs that the"
    " region does not send. A recreated CA has a new certificate, even with the same name. Verification cannot be"
    " turned off."
)
_MALFORMED: Final = (
    "The certificate, or that of its CA, does not follow RFC 5280, which Python 3.13 and newer require."
    " Reissue it: a CA needs a critical basicConstraints with CA:TRUE, a keyUsage with keyCertSign, and a"
    " subjectKeyIdentifier; every certificate needs an authorityKeyIdentifier of its issuer. Until then, Python 3.12"
    " accepts it."
)
_NOT_A_CA: Final = (
    "A certificate that signed it is not a CA certificate: it needs a basicConstraints with CA:TRUE and a keyUsage"
    " with keyCertSign. Reissue it."
)
_NOT_ALLOWED: Final = (
    "The CA may not issue this certificate, because its allowed names or its chain length are limited. Get {host}'s"
    " certificate from another CA."
)
_NOT_FOR_SERVERS: Final = "The certificate is not for servers. Reissue it with serverAuth in its extendedKeyUsage."
_REVOKED: Final = "The CA has revoked the certificate. Install a new one in MAAS (`sudo maas config-tls enable`)."
_WEAK: Final = (
    "Its key is too short, or it is signed with SHA-1 or MD5. Reissue it with SHA-256 and an RSA key of at least 2048"
    " bits or an elliptic-curve key."
)
_GENERIC: Final = (
    "`openssl s_client -connect {where} -verify_return_error` shows the chain. Verification cannot be turned off."
)

_HINTS: Final[Mapping[int, str]] = {
    9: _NOT_YET_VALID,
    **dict.fromkeys((10, -67818, 0x800B0101), _EXPIRED),
    -67819: _NOT_YET_VALID,
    **dict.fromkeys(_HOST_MISMATCH, _HOST_MISMATCH_HINT),
    **dict.fromkeys((2, 7, 18, 19, 20, 21, 27, 29, 30, 31, -67843, 0x800B0109, 0x800B010A), _UNKNOWN_ISSUER),
    **dict.fromkeys((23, -67820, 0x80092010, 0x800B010C), _REVOKED),
    **dict.fromkeys((24, 32, 37, 79), _NOT_A_CA),
    **dict.fromkeys((22, 25, 47, 48), _NOT_ALLOWED),
    **dict.fromkeys((26, 28, 0x800B0110), _NOT_FOR_SERVERS),
    **dict.fromkeys((66, 67, 68), _WEAK),
    **dict.fromkeys(range(80, 95), _MALFORMED),
}
"""The hint for each verification error of OpenSSL (``X509_V_ERR_…`` in ``x509_vfy.h``; 79 and up since OpenSSL 3.0),
macOS (negative; ``errSec…`` in ``SecBase.h``) and Windows (``CERT_E_…`` in ``winerror.h``)."""

_PLAIN_HTTP: Final = (
    "That port seems to serve plain http. Set MAAS_URL to the https port (`sudo maas config-tls enable` sets it;"
    " 5443 by default), or to http:// if the region has no TLS."
)
_OLD_PROTOCOL: Final = (
    "The server supports only insecure TLS versions; 1.2 or 1.3 is required. MAAS itself supports both, so check the"
    " proxy or load balancer in front of it."
)
_UNKNOWN_NAME: Final = "The server does not know the host name {host}. Set MAAS_URL to a host name in its certificate."
_OLD_CRYPTOGRAPHY: Final = (
    "The server accepts only insecure cryptography. Update it, or install a certificate with a stronger key."
)
_REFUSED: Final = (
    "The server rejected this client. They have no common cipher, or the server requires a client certificate, which"
    " maas-mcp cannot send. Check the proxy or load balancer in front of MAAS."
)
_OTHER_REASON: Final = "Check that MAAS_URL has MAAS's https port (`sudo maas config-tls enable` shows it)."
_REASONS: Final = (
    ("WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG", _PLAIN_HTTP),
    ("PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|NO_PROTOCOLS_AVAILABLE|WRONG_SSL_VERSION", _OLD_PROTOCOL),
    ("UNRECOGNIZED_NAME", _UNKNOWN_NAME),
    ("KEY_TOO_SMALL|MD_TOO_WEAK|WRONG_SIGNATURE_TYPE|UNSAFE_LEGACY|BAD_DH_VALUE", _OLD_CRYPTOGRAPHY),
    ("HANDSHAKE_FAILURE|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY|CERTIFICATE_REQUIRED|BAD_CERTIFICATE", _REFUSED),
    ("", _OTHER_REASON),
)
"""The hint for other failed handshakes, by a pattern in OpenSSL's reason (``SSL_R_…`` in ``sslerr.h``)."""


def tls_context(region: RegionAccess) -> ssl.SSLContext:
    """Create a TLS context that trusts the CA bundle of the settings, or else the system's CAs.

    Certificates are always verified.

    Raises:
        SettingsError: The bundle or the file in ``SSL_CERT_FILE`` cannot be used.
    """
    if region.ca_bundle is None:
        return _system_context() if region.api_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = _bundle_context(region.ca_bundle)
    # Trust each certificate of the bundle, even if it is not a root. This is the default since Python 3.13.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def tls_error(error: ssl.SSLError, region: RegionAccess, where: str, names: list[str] | None) -> MaasTlsError:
    """Create the error for a failed TLS handshake, with a hint.

    Args:
        error: The reason of the failure.
        region: The region.
        where: Host and port.
        names: The host names in the certificate, or ``None`` if they are unknown.
    """
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = getattr(error, "reason", None) or "TLS error"
        message = f"The TLS handshake with MAAS at {where} failed ({reason})."
        hint = next(words for pattern, words in _REASONS if re.search(pattern, reason))
    else:
        problem = str(getattr(error, "verify_message", error.args[-1]))  # truststore raises one without it on Windows
        message = f"The certificate of MAAS at {where} is not trusted: {problem.rstrip('.')}."
        if names is not None:
            listed = ", ".join(names[:_MAX_NAMES]) + (" and others" if len(names) > _MAX_NAMES else "")
            message += f" It is for {listed}." if names else " It has no subject alternative names, so it fits no host."
        hint = _HINTS.get(_get_verify_code(error), _GENERIC)
        if hint is _UNKNOWN_ISSUER and region.ca_bundle:
            hint = _NOT_IN_BUNDLE
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    host = where.rpartition(":")[0]
    return MaasTlsError(message, sent=False, hint=hint.format(now=now, host=host, where=where, bundle=region.ca_bundle))


def wrong_scheme_error(where: str) -> MaasTlsError:
    """Create the error for an http request to an https port."""
    return MaasTlsError(
        f"MAAS at {where} serves https on that port, but MAAS_URL starts with http://.",
        sent=False,
        hint="Change MAAS_URL to https:// with the same port.",
    )


def is_host_mismatch(error: ssl.SSLError) -> bool:
    """Whether the certificate is valid, but for another host."""
    return isinstance(error, ssl.SSLCertVerificationError) and _get_verify_code(error) in _HOST_MISMATCH


def _get_verify_code(error: ssl.SSLCertVerificationError) -> int:
    return int(getattr(error, "verify_code", 0))


async def read_certificate_names(region: RegionAccess, host: str, port: int) -> list[str] | None:
    """Read the host names in the region's certificate; ``None`` if they cannot be read within seconds.

    The certificate is verified except for its names, and no request is sent.
    """
    context = tls_context(region)
    context.check_hostname = False
    try:
        with anyio.fail_after(_CERTIFICATE_TIMEOUT):
            stream = await anyio.connect_tcp(host, port, ssl_context=context, tls_standard_compatible=False)
            async with stream:
                certificate = stream.extra(TLSAttribute.peer_certificate)  # noqa: S610 - anyio's, not Django's
    except (OSError, TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream):
        return None
    if not certificate:  # truststore lets the system verify, and OpenSSL does not parse the certificate
        return None
    names: Any = certificate.get("subjectAltName", ())  # pairs: ssl's types do not say so
    return [str(name) for kind, name in names if kind in {"DNS", "IP Address"}]


def _bundle_context(bundle: Path) -> ssl.SSLContext:
    """Create a TLS context that trusts the certificates of a PEM file, which may contain other text."""
    hint = "Set it to a PEM file (BEGIN CERTIFICATE) with the certificate of the CA that signed the region's."
    problem = "is not a PEM file with certificates"
    try:
        content = read_bytes(bundle)
        text = _decode_pem(content)
        if found := _PEM.findall(text):
            return ssl.create_default_context(cadata="\n".join(found))
    except ssl.SSLError:
        problem = "contains a damaged certificate"
    except ValueError as error:
        problem = f"cannot be read: {error}"
    else:
        if content.startswith(_DER):
            problem = "is in DER format, not PEM"
            hint = f"Convert it: `openssl x509 -inform der -in {bundle} -out ca.pem`."
        elif "PRIVATE KEY" in text:
            problem = "contains a private key and no certificate"
    raise SettingsError(f"MAAS_CA_BUNDLE names {bundle}, which {problem}.", hint=hint)


def _decode_pem(content: bytes) -> str:
    try:
        return decode_text(content)
    except ValueError:
        return content.decode("latin-1")  # PEM is ASCII; comments around it need not be UTF-8


def _system_context() -> ssl.SSLContext:
    """Create a TLS context that trusts the CAs of the environment, or else the system's, which include a company's own.

    truststore is not used on Linux. It would load all CAs for each connection, which takes tens of milliseconds, and
    longer each time with OpenSSL before 3.4 (sethmlarson/truststore#212). OpenSSL finds the CAs there itself.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if _SYSTEM_VERIFIES and not file and not folder:
        import truststore  # noqa: PLC0415 - needed on these systems only

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.create_default_context()
    if context.get_ca_certs() or (not file and not folder and _has_folder_of_authorities()):
        return context
    return _fallback_context(file, folder)


def _has_folder_of_authorities() -> bool:
    """Whether OpenSSL has a directory of CAs, which it reads only when it needs a CA."""
    folder = ssl.get_default_verify_paths().capath
    return bool(folder) and any(Path(folder).glob(_HASHED_FILE_NAMES))


def _fallback_context(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Create a TLS context that trusts the CAs of the environment, or Mozilla's in a minimal container without any."""
    import certifi  # noqa: PLC0415 - rarely needed

    try:
        if file or folder:
            context = ssl.create_default_context(cafile=file or None, capath=folder or None)
        else:
            context = ssl.create_default_context(cafile=certifi.where())
    except ssl.SSLError:
        problem = "it contains no certificate in PEM format"
    except OSError as error:
        problem = str(error.strerror)
    else:
        context.load_default_certs()
        return context
    raise SettingsError(
        f"SSL_CERT_FILE names {file}, which cannot be used: {problem}.",
        hint="Correct or unset the variable. To trust only the CA of the region, set MAAS_CA_BUNDLE instead.",
    )
