"""TLS with the region: which certificates are trusted, and what to do about one that is not."""

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
from maas_mcp.text_files import decoded, read_bytes

_SYSTEM_VERIFIES: Final = sys.platform in {"darwin", "win32"}
_ANOTHER_HOST: Final = (62, 64, -67602, 0x800B010F)  # a name that does not match, and an address; macOS; Windows
_LOOK: Final = 5.0
"""Seconds for finding out which hosts a certificate is for."""
_MOST_NAMES: Final = 5
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----[!-~\s]*?-----END CERTIFICATE-----", re.ASCII)
_DER: Final = b"\x30\x82"
_HASHED: Final = "????????.[0-9]"
"""How OpenSSL names the certificates in a folder (``openssl rehash``)."""

_EXPIRED: Final = (
    "Renew the certificate on the region (`sudo maas config-tls enable`), or that of its CA. If they are new, check the"
    " clock of this machine: it says {now}."
)
_NOT_YET_VALID: Final = "Check the clock of this machine: it says {now}. If that is right, check the region's."
_OTHER_HOST: Final = (
    "Set MAAS_URL to a name that the certificate is for, or give MAAS a certificate with {host} among its subject"
    " alternative names."
)
_UNKNOWN_ISSUER: Final = (
    "Set MAAS_CA_BUNDLE to the PEM file of the CA that signed it, or of the certificate itself if it is self-signed."
    " Verification cannot be turned off."
)
_NOT_IN_BUNDLE: Final = (
    "The CA that signed it is not in the file that MAAS_CA_BUNDLE names, {bundle}. Add that CA, and the intermediate"
    " ones that the region does not send. A CA that was recreated has a new certificate, even under the same name."
    " Verification cannot be turned off."
)
_MALFORMED: Final = (
    "The certificate, or that of its CA, does not follow RFC 5280, which Python 3.13 and newer require."
    " Reissue it: a CA needs a critical basicConstraints with CA:TRUE, a keyUsage with keyCertSign, and a"
    " subjectKeyIdentifier; every certificate needs an authorityKeyIdentifier of its issuer. Until then, Python 3.12"
    " accepts it."
)
_NO_CA: Final = (
    "A certificate that signed it is not a CA certificate: it needs a basicConstraints with CA:TRUE and a keyUsage"
    " with keyCertSign. Reissue it."
)
_NOT_ALLOWED: Final = (
    "The CA may not issue this certificate: it is limited in its names or in the length of the chain. Have {host}'s"
    " certificate issued by another CA."
)
_NO_SERVER: Final = "The certificate is not for servers: reissue it with serverAuth as its extendedKeyUsage."
_REVOKED: Final = "The CA has revoked the certificate. Give MAAS a new one (`sudo maas config-tls enable`)."
_WEAK: Final = (
    "Its key is too short, or it is signed with SHA-1 or MD5. Reissue it with an RSA key of 2048 bits or more, or an"
    " elliptic curve, and SHA-256."
)
_ANY: Final = (
    "`openssl s_client -connect {where} -verify_return_error` shows the chain. Verification cannot be turned off."
)

_HINTS: Final[Mapping[int, str]] = {
    9: _NOT_YET_VALID,
    **dict.fromkeys((10, -67818, 0x800B0101), _EXPIRED),
    -67819: _NOT_YET_VALID,
    **dict.fromkeys(_ANOTHER_HOST, _OTHER_HOST),
    **dict.fromkeys((2, 7, 18, 19, 20, 21, 27, 29, 30, 31, -67843, 0x800B0109, 0x800B010A), _UNKNOWN_ISSUER),
    **dict.fromkeys((23, -67820, 0x80092010, 0x800B010C), _REVOKED),
    **dict.fromkeys((24, 32, 37, 79), _NO_CA),
    **dict.fromkeys((22, 25, 47, 48), _NOT_ALLOWED),
    **dict.fromkeys((26, 28, 0x800B0110), _NO_SERVER),
    **dict.fromkeys((66, 67, 68), _WEAK),
    **dict.fromkeys(range(80, 95), _MALFORMED),
}
"""What to do, by verification error: OpenSSL's (``X509_V_ERR_…`` in ``x509_vfy.h``; 79 and up since OpenSSL 3.0), those
of macOS, which are negative (``errSec…`` in ``SecBase.h``), and of Windows (``CERT_E_…`` in ``winerror.h``)."""

_PLAIN_HTTP: Final = (
    "That port seems to serve plain http. Set MAAS_URL to the port of https (`sudo maas config-tls enable` sets it;"
    " 5443 by default), or to http:// if the region has no TLS."
)
_OLD_PROTOCOL: Final = (
    "The server there speaks only versions of TLS that are no longer safe; 1.2 or 1.3 is needed. MAAS itself serves"
    " both: check the proxy or load balancer in front of it."
)
_UNKNOWN_NAME: Final = (
    "The server there does not know the host name {host}. Set MAAS_URL to the name that its certificate is for."
)
_OLD_CRYPTOGRAPHY: Final = (
    "The server there insists on cryptography that is no longer safe. Give it a stronger key, or update it."
)
_REFUSED: Final = (
    "The server there refuses this client: they have no cipher in common, or it asks for a client certificate, which"
    " maas-mcp cannot send. Check the proxy or load balancer in front of MAAS."
)
_OTHER_REASON: Final = "Is MAAS_URL's port the one that MAAS serves https on (`sudo maas config-tls enable` tells)?"
_REASONS: Final = (
    ("WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG", _PLAIN_HTTP),
    ("PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|NO_PROTOCOLS_AVAILABLE|WRONG_SSL_VERSION", _OLD_PROTOCOL),
    ("UNRECOGNIZED_NAME", _UNKNOWN_NAME),
    ("KEY_TOO_SMALL|MD_TOO_WEAK|WRONG_SIGNATURE_TYPE|UNSAFE_LEGACY|BAD_DH_VALUE", _OLD_CRYPTOGRAPHY),
    ("HANDSHAKE_FAILURE|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY|CERTIFICATE_REQUIRED|BAD_CERTIFICATE", _REFUSED),
    ("", _OTHER_REASON),
)
"""What to do about a handshake that failed otherwise, by what is in OpenSSL's reason (``SSL_R_…`` in ``sslerr.h``)."""


def tls_context(region: RegionAccess) -> ssl.SSLContext:
    """What is trusted: the bundle of the settings, or the system's authorities. Certificates are always verified.

    Raises:
        SettingsError: The bundle, or the file that ``SSL_CERT_FILE`` names, cannot be used.
    """
    if region.ca_bundle is None:
        return _system_context() if region.api_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = _bundle_context(region.ca_bundle)
    # As Python 3.13 does by itself: a certificate that was named is trusted, though it may be no root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def tls_failure(error: ssl.SSLError, region: RegionAccess, where: str, names: list[str] | None) -> MaasTlsError:
    """What is wrong with the connection, and what to do.

    Args:
        error: Why the handshake failed.
        region: Where it was to lead.
        where: Host and port.
        names: The hosts that the certificate is for, if they are known.
    """
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = getattr(error, "reason", None) or "TLS error"
        message = f"MAAS at {where} does not speak TLS as expected ({reason})."
        hint = next(words for pattern, words in _REASONS if re.search(pattern, reason))
    else:
        problem = str(getattr(error, "verify_message", error.args[-1]))  # truststore raises one without it on Windows
        message = f"The certificate of MAAS at {where} is not trusted: {problem.rstrip('.')}."
        if names is not None:
            listed = ", ".join(names[:_MOST_NAMES]) + (" and others" if len(names) > _MOST_NAMES else "")
            message += f" It is for {listed}." if names else " It has no subject alternative names: it is for no host."
        hint = _HINTS.get(_code(error), _ANY)
        if hint is _UNKNOWN_ISSUER and region.ca_bundle:
            hint = _NOT_IN_BUNDLE
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    host = where.rpartition(":")[0]
    return MaasTlsError(message, sent=False, hint=hint.format(now=now, host=host, where=where, bundle=region.ca_bundle))


def wrong_scheme(where: str) -> MaasTlsError:
    """What is wrong where http is sent to a port of https."""
    return MaasTlsError(
        f"MAAS at {where} speaks https on that port, but MAAS_URL says http://.",
        sent=False,
        hint="Start MAAS_URL with https://, and keep the port.",
    )


def is_for_another_host(error: ssl.SSLError) -> bool:
    """Whether the certificate is in order, but for another host."""
    return isinstance(error, ssl.SSLCertVerificationError) and _code(error) in _ANOTHER_HOST


def _code(error: ssl.SSLCertVerificationError) -> int:
    return int(getattr(error, "verify_code", 0))


async def certificate_names(region: RegionAccess, host: str, port: int) -> list[str] | None:
    """The hosts that the region's certificate is for, or ``None`` if they cannot be found out at once.

    The certificate is verified but for its names, and nothing is sent.
    """
    context = tls_context(region)
    context.check_hostname = False
    try:
        with anyio.fail_after(_LOOK):
            stream = await anyio.connect_tcp(host, port, ssl_context=context, tls_standard_compatible=False)
            async with stream:
                certificate = stream.extra(TLSAttribute.peer_certificate)  # noqa: S610 - anyio's, not Django's
    except (OSError, TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream):
        return None
    if not certificate:  # where the system itself verifies, OpenSSL does not take it apart
        return None
    names: Any = certificate.get("subjectAltName", ())  # pairs: ssl's types do not say so
    return [str(name) for kind, name in names if kind in {"DNS", "IP Address"}]


def _bundle_context(bundle: Path) -> ssl.SSLContext:
    """What trusts the certificates of a file in PEM format, whatever text stands around them."""
    hint = "It takes the certificate of the CA that signed the region's, in PEM format (BEGIN CERTIFICATE)."
    problem = "is not a PEM file with certificates"
    try:
        content = read_bytes(bundle)
        text = _text(content)
        if found := _PEM.findall(text):
            return ssl.create_default_context(cadata="\n".join(found))
    except ssl.SSLError:
        problem = "holds a certificate that is damaged"
    except ValueError as error:
        problem = f"cannot be read: {error}"
    else:
        if content.startswith(_DER):
            problem = "is in DER format, not PEM"
            hint = f"Convert it: `openssl x509 -inform der -in {bundle} -out ca.pem`."
        elif "PRIVATE KEY" in text:
            problem = "holds a private key and no certificate"
    raise SettingsError(f"MAAS_CA_BUNDLE names {bundle}, which {problem}.", hint=hint)


def _text(content: bytes) -> str:
    try:
        return decoded(content)
    except ValueError:
        return content.decode("latin-1")  # PEM is ASCII; comments around it need not be UTF-8


def _system_context() -> ssl.SSLContext:
    """What trusts the authorities that the environment names, or else the system's: there a company installs its own.

    On Linux, truststore would load all of them again for each connection, tens of milliseconds, and with OpenSSL before
    3.4 a connection takes longer each time (sethmlarson/truststore#212). There OpenSSL knows where they are.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if _SYSTEM_VERIFIES and not file and not folder:
        import truststore  # noqa: PLC0415 - needed on these systems only

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.create_default_context()
    if context.get_ca_certs() or (not file and not folder and _has_folder_of_authorities()):
        return context
    return _other_context(file, folder)


def _has_folder_of_authorities() -> bool:
    """Whether OpenSSL finds authorities in a folder, where it searches for each of them only when it needs it."""
    folder = ssl.get_default_verify_paths().capath
    return bool(folder) and any(Path(folder).glob(_HASHED))


def _other_context(file: str | None, folder: str | None) -> ssl.SSLContext:
    """What trusts the authorities that the environment names, or Mozilla's: a minimal container has no others."""
    import certifi  # noqa: PLC0415 - hardly ever needed

    try:
        if file or folder:
            context = ssl.create_default_context(cafile=file or None, capath=folder or None)
        else:
            context = ssl.create_default_context(cafile=certifi.where())
    except ssl.SSLError:
        problem = "there is no certificate in PEM format in it"
    except OSError as error:
        problem = str(error.strerror)
    else:
        context.load_default_certs()
        return context
    raise SettingsError(
        f"SSL_CERT_FILE names {file}, which cannot be used: {problem}.",
        hint="Correct or unset the variable; MAAS_CA_BUNDLE is for the authority of the region alone.",
    )
