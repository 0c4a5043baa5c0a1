"""Signs short texts with the secrets that all processes of a site share, so that nothing has to be stored."""

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

SEAL_BYTES: Final = 16
"""A signature is 128 bits of HMAC-SHA256."""


class Signer:
    """Signs texts for one context, such as a user, and verifies them.

    Args:
        secrets: The first one signs, and all of them verify. So a secret can be replaced without invalidating texts.
        context: Texts of another context are rejected.
    """

    def __init__(self, secrets: Sequence[bytes], context: str) -> None:
        self._secrets = secrets
        self._context = context

    def sign(self, text: str) -> str:
        """Return the signature of a text."""
        return self._sign(text, self._secrets[0])

    def secret_of(self, text: str, signature: str) -> bytes | None:
        """Return the secret that signed a text; ``None`` if the signature is not valid."""
        given = signature.encode()
        return next(
            (each for each in self._secrets if hmac.compare_digest(self._sign(text, each).encode(), given)), None
        )

    def _sign(self, text: str, secret: bytes) -> str:
        return encode(digest(secret, f"{self._context}\n{text}".encode(), SEAL_BYTES))


def derive_keys(secrets: Sequence[bytes], purpose: bytes) -> tuple[bytes, ...]:
    """Return a key of each secret for one purpose, so that no signature is valid for another purpose."""
    return tuple(hmac.digest(secret, purpose, sha256) for secret in dict.fromkeys(secrets))


def digest(key: bytes, content: bytes, size: int) -> bytes:
    """Return the first ``size`` bytes of a keyed digest, which nobody without the key can compute or verify."""
    return hmac.digest(key, content, sha256)[:size]


def encode(content: bytes) -> str:
    """Return bytes as letters, digits, ``-`` and ``_``."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes that :func:`encode` received.

    Raises:
        ValueError: It did not return this text.
    """
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
