"""HMAC-SHA1 signatures of requests. With PLAINTEXT, which MAAS's own client uses, nothing is hashed."""

import base64
import hashlib
import hmac
from dataclasses import dataclass

from oauthlib.oauth1.rfc5849.signature import (
    base_string_uri,
    collect_parameters,
    normalize_parameters,
    signature_base_string,
)


@dataclass(frozen=True)
class Signed:
    """The signed parts of a request. ``form`` is a urlencoded body; other bodies are not signed."""

    method: str = "GET"
    url: str = ""
    form: str = ""


def base_string(request: Signed, authorization: str) -> str:
    """Return the signature base string (RFC 5849, section 3.4.1)."""
    query = request.url.partition("?")[2]
    parameters = collect_parameters(query, request.form or None, {"Authorization": authorization})
    normalized = normalize_parameters(parameters)  # type: ignore[arg-type] # its stubs want a dict, RFC 5849 a list
    return str(signature_base_string(request.method, base_string_uri(request.url), normalized))  # type: ignore[arg-type] # any method may be signed


def hmac_sha1(text: str, secret: str) -> str:
    """Sign a text with a token's secret; MAAS's consumer secret is empty."""
    digest = hmac.new(f"&{secret}".encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
