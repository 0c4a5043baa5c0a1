"""The signer of requests: OAuth 1.0 PLAINTEXT with a MAAS API key."""

from collections.abc import Generator

import httpx
from oauthlib.common import generate_nonce, generate_timestamp
from oauthlib.oauth1 import SIGNATURE_PLAINTEXT
from requests_oauthlib import OAuth1

from maas_mcp.maas.address import ApiKey


class MaasAuth(httpx.Auth):
    """Signs each request.

    MAAS 3.7 rejects a nonce that it has seen and a timestamp more than 300 s old, so each retry needs a new signature.
    The consumer secret of a MAAS key is empty. PLAINTEXT signs neither URL nor body, so headers differ in nonce and
    timestamp only, and oauthlib writes the rest once. It gets neither URL nor body, because it would only check them
    against its own rules.
    """

    def __init__(self, key: ApiKey) -> None:
        oauth = OAuth1(
            client_key=key.consumer,
            client_secret="",
            resource_owner_key=key.token,
            resource_owner_secret=key.secret,
            signature_method=SIGNATURE_PLAINTEXT,
            decoding=None,  # the header as text
            nonce="",
            timestamp="",
        )
        _, headers, _ = oauth.client.sign("https://maas/")
        self._incomplete: str = headers["Authorization"]

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the ``Authorization`` header."""
        with_nonce = self._incomplete.replace('oauth_nonce=""', f'oauth_nonce="{generate_nonce()}"')
        request.headers["Authorization"] = with_nonce.replace(
            'oauth_timestamp=""', f'oauth_timestamp="{generate_timestamp()}"'
        )
        yield request
