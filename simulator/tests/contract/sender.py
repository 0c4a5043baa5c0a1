"""Sends the recorded requests again, each with its user, headers and credentials."""

import http.client
import json
import secrets
from collections.abc import Mapping
from urllib.parse import quote

from maas_simulator import SimulatedRegion
from simulator.tests.contract.recording import Answer, Exchange

HOST = "127.0.0.1:5240"
"""The host in the recorded requests."""

TIMEOUT = 10.0
"""Seconds to wait for a response."""

FORM = "application/x-www-form-urlencoded"


class Sender:
    """Sends recorded requests again, over one connection that is kept alive as during the recording."""

    def __init__(self, region: SimulatedRegion, base_url: str) -> None:
        self.region = region
        self.keys = {name: user.api_key for name, user in region.users.items()}
        """The API keys, of users who are deleted later too."""
        self.connection = http.client.HTTPConnection(
            base_url.removeprefix("http://").removesuffix("/MAAS"), timeout=TIMEOUT
        )

    def send(self, exchange: Exchange) -> Answer:
        """Send the request as it was recorded, and read the whole response. A lost connection has the status 0."""
        try:
            return self._send(exchange)
        except (http.client.HTTPException, ConnectionError) as error:
            self.connection.close()  # The next request opens it again.
            return Answer(0, {}, text=repr(error))

    def _send(self, exchange: Exchange) -> Answer:
        body = None if exchange.body is None else exchange.body.encode()
        self.connection.putrequest(exchange.method, exchange.url, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers_of(exchange).items():
            self.connection.putheader(name, value)
        self.connection.endheaders(body)
        response = self.connection.getresponse()
        return _answer(response.status, dict(response.getheaders()), response.read())

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def headers_of(self, exchange: Exchange) -> dict[str, str]:
        """The headers of the request, with a signature unless it has its own or none."""
        headers = {"Host": HOST}
        if exchange.user is not None:
            headers["Authorization"] = self._sign(exchange.user)
        if exchange.body is not None or exchange.method in ("POST", "PUT"):
            headers["Content-Length"] = str(len((exchange.body or "").encode()))
        if exchange.body is not None:
            headers["Content-Type"] = FORM
        return {name: value for name, value in (headers | dict(exchange.headers)).items() if value}

    def _sign(self, user: str) -> str:
        consumer, token, secret = self.keys[user].split(":")
        parameters = {
            "oauth_nonce": secrets.token_hex(32),
            "oauth_timestamp": str(int(self.region.authenticator.clock())),
            "oauth_version": "1.0",
            "oauth_signature_method": "PLAINTEXT",
            "oauth_consumer_key": consumer,
            "oauth_token": token,
            "oauth_signature": f"&{secret}",
        }
        return "OAuth " + ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in parameters.items())


def _answer(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    lowered = {name.lower(): value for name, value in headers.items()}
    kind = lowered.get("content-type", "")
    if content and kind.startswith("application/json") and status < http.client.BAD_REQUEST:
        return Answer(status, lowered, json=json.loads(content))
    return Answer(status, lowered, text=content.decode("utf-8", "replace"))
