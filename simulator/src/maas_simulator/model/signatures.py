"""HMAC-SHA1 signatures of requests. With PLAINTEXT, which MAAS's own client uses, nothing is hashed."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from oauthlib.oauth1.rfc5849.signature import base_string_uri, normalize_parameters, signature_base_string


@dataclass(frozen=True)
class Signed:
    """The signed parts of a request; ``parameters`` are those of the query, and of a form that was posted."""

    method: str = "GET"
    url: Callable[[], str] = str
    """Returns the URL, which few signatures cover."""
    parameters: Mapping[str, str] = field(default_factory=dict)


def base_string(request: Signed, given: Mapping[str, str]) -> str:
    """Return the signature base string (RFC 5849, section 3.4.1) of a request with all its parameters."""
    signed = [(name, value) for name, value in given.items() if name != "oauth_signature"]
    normalized = normalize_parameters(signed)  # type: ignore[arg-type] # its stubs want a dict, RFC 5849 a list
    return str(signature_base_string(request.method, base_string_uri(request.url()), normalized))  # type: ignore[arg-type] # any method may be signed


def hmac_sha1(text: str, secret: str) -> str:
    """Sign a text with a token's secret; MAAS's consumer secret is empty."""
    digest = hmac.new(f"&{secret}".encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
