"""The signature keys of an OAuth issuer (RFC 7517), each for the algorithms that it may verify."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

ALGORITHMS: Final[Mapping[str, tuple[str, str | None]]] = MappingProxyType(
    {
        **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
        "ES256": ("EC", "P-256"),
        "ES384": ("EC", "P-384"),
        "ES512": ("EC", "P-521"),
        "EdDSA": ("OKP", "Ed25519"),
    }
)
"""The accepted algorithms, with the type and the curve of their keys. All of them are asymmetric: with ``HS256``,
anyone who knows a public key could sign, and with ``none`` anyone could."""
SMALLEST_RSA_KEY: Final = 2048
"""Bits. RFC 7518, section 3.3, requires as many."""
MAX_KEYS: Final = 100
"""The largest accepted number of keys of an issuer."""


class KeySet:
    """The signature keys of an issuer.

    Args:
        document: The issuer's JSON Web Key Set. Keys that cannot verify signatures are ignored.

    Raises:
        ValueError: It is not a key set, or has too many keys or none that can be used.
    """

    def __init__(self, document: object) -> None:
        found = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(found, list) or len(found) > MAX_KEYS:
            raise ValueError(f"it is not a JSON Web Key Set with at most {MAX_KEYS} keys")
        self._keys: dict[tuple[str | None, str], list[PyJWK]] = {}
        for algorithm, key in (each for data in found if isinstance(data, dict) for each in _usable(data)):
            self._keys.setdefault((key.key_id, algorithm), []).append(key)
        if not self._keys:
            raise ValueError("it has no key for any of the accepted algorithms")

    def find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """Return the key with this id for this algorithm.

        A token without a key id is accepted only if the issuer has a single key for the algorithm.
        """
        if key_id is not None:
            found = self._keys.get((key_id, algorithm), [])
        else:
            found = [key for (_, name), keys in self._keys.items() if name == algorithm for key in keys]
        return found[0] if len(found) == 1 else None


def _usable(data: Mapping[str, Any]) -> Iterator[tuple[str, PyJWK]]:
    """Yield each algorithm that a key may verify, with the key for it."""
    operations = data.get("key_ops", ["verify"])
    if data.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return
    if not isinstance(data.get("kid"), str | None):
        return
    for algorithm, (kind, curve) in ALGORITHMS.items():
        matches = data.get("kty") == kind and (curve is None or data.get("crv") == curve)
        if not matches or data.get("alg", algorithm) != algorithm:
            continue
        try:
            key = PyJWK(_public(data), algorithm)
        except (PyJWTError, ValueError, TypeError, KeyError):
            return
        if not isinstance(key.key, RSAPublicKey) or key.key.key_size >= SMALLEST_RSA_KEY:
            yield algorithm, key


def _public(data: Mapping[str, Any]) -> dict[str, Any]:
    """The public part of a key: an issuer that publishes its private keys by mistake is not imitated."""
    return {name: value for name, value in data.items() if name in {"kty", "kid", "crv", "x", "y", "n", "e"}}
