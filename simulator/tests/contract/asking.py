"""How the recorded requests were made: in whose name, with which header, with which credentials.

The recording keeps no request headers; the titles say what was special about a request.
"""

import http.client
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from oauthlib.oauth1 import SIGNATURE_HMAC, Client

from maas_simulator import SimulatedRegion
from simulator.tests.contract.recording import Answer, Exchange

HOST = "127.0.0.1:5240"
"""The host that the recorded requests named."""

PATIENCE = 10.0
"""Seconds for an answer."""

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Manner:
    """What was special about a request.

    ``signed`` are changes to the OAuth parameters (None leaves one out); ``authorization`` replaces the whole header,
    with nothing if it is empty; ``hmac`` signs with HMAC-SHA1 and this secret, or the right one if it is empty.
    """

    user: str = "admin"
    signed: Mapping[str, str | None] = field(default_factory=dict)
    authorization: str | None = None
    hmac: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = FORM
    raw_signature: bool = False


_BOB = Manner(user="bob")
_NOBODY = Manner(authorization="")
_JSON = Manner(content_type="application/json")
_REPLAYED = Manner(signed={"oauth_nonce": "b6672097cfe742ce84197558e22f99ad"})
_NOT_A_KEY = "bad"

MANNERS: Mapping[str, Manner] = {
    "01-version-whoami: version, no auth": _NOBODY,
    "01-version-whoami: whoami as a plain user": _BOB,
    "01-version-whoami: not an API path, no auth": _NOBODY,
    "01-version-whoami: MAAS root": _NOBODY,
    "02-machines-list: machines list as plain user": _BOB,
    "04-auth-errors: no Authorization, one machine": _NOBODY,
    "04-auth-errors: no Authorization, POST op": _NOBODY,
    "04-auth-errors: no Authorization, subnets": _NOBODY,
    "04-auth-errors: no Authorization, unknown machine": _NOBODY,
    "04-auth-errors: bad consumer key": Manner(signed={"oauth_consumer_key": _NOT_A_KEY}),
    "04-auth-errors: bad token key": Manner(signed={"oauth_token": "badtoken"}),
    "04-auth-errors: bad secret (signature)": Manner(signed={"oauth_signature": "&bad"}),
    "04-auth-errors: signature not percent-encoded": Manner(raw_signature=True),
    "04-auth-errors: no oauth_timestamp": Manner(signed={"oauth_timestamp": None}),
    "04-auth-errors: no oauth_signature": Manner(signed={"oauth_signature": None}),
    "04-auth-errors: no oauth_version": Manner(signed={"oauth_version": None}),
    "04-auth-errors: old timestamp (-299 s)": Manner(signed={"oauth_timestamp": "-299"}),
    "04-auth-errors: future timestamp (+1 h)": Manner(signed={"oauth_timestamp": "+3600"}),
    "04-auth-errors: timestamp not a number": Manner(signed={"oauth_timestamp": "soon"}),
    "04-auth-errors: nonce first use": _REPLAYED,
    "04-auth-errors: nonce second use (replay)": _REPLAYED,
    "04-auth-errors: signature method HMAC-SHA256": Manner(signed={"oauth_signature_method": "HMAC-SHA256"}),
    "04-auth-errors: Basic auth": Manner(authorization="Basic YWRtaW46YWRtaW4="),
    "04-auth-errors: Bearer": Manner(authorization="Bearer abc"),
    "04-auth-errors: HMAC-SHA1 GET": Manner(hmac=""),
    "04-auth-errors: HMAC-SHA1 POST": Manner(hmac=""),
    "04-auth-errors: HMAC-SHA1 wrong secret": Manner(hmac=_NOT_A_KEY),
    "04-auth-errors: plain user: admin op commission": _BOB,
    "04-auth-errors: plain user: admin-only create tag": _BOB,
    "04-auth-errors: plain user: deploy a machine owned by admin": _BOB,
    "04-auth-errors: plain user: release a machine owned by admin": _BOB,
    "04-auth-errors: plain user: events": _BOB,
    "05-wrong-calls: PUT JSON body": _JSON,
    "05-wrong-calls: POST op with broken JSON": _JSON,
    "05-wrong-calls: POST op with no body, no type": Manner(content_type=None),
    "07-deploy: JSON body: deploy with a bad distro_series": _JSON,
    "16-http: Accept-Encoding: gzip": Manner(headers={"Accept-Encoding": "gzip"}),
    "16-http: If-Modified-Since (now)": Manner(headers={"If-Modified-Since": "Sun, 22 Nov 2026 08:42:30 GMT"}),
    "16-http: Accept: text/html": Manner(headers={"Accept": "text/html"}),
    "16-http: Accept: application/xml": Manner(headers={"Accept": "application/xml"}),
    "16-http: X-Forwarded-Host": Manner(headers={"X-Forwarded-Host": "maas.example.com"}),
    "16-http: unknown Host": Manner(headers={"Host": "nobody.example.com"}),
}


class Asker:
    """Makes recorded requests again, over one real connection that is kept alive as the recording's was."""

    def __init__(self, region: SimulatedRegion, base_url: str) -> None:
        self.region = region
        self.connection = http.client.HTTPConnection(
            base_url.removeprefix("http://").removesuffix("/MAAS"), timeout=PATIENCE
        )

    def ask(self, exchange: Exchange) -> Answer:
        """Make the request as it was made then, and read the whole answer."""
        manner = MANNERS.get(exchange.name, Manner())
        body = None if exchange.body is None else exchange.body.encode()
        self.connection.putrequest(exchange.method, exchange.url, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers_of(exchange).items():
            self.connection.putheader(name, value)
        self.connection.endheaders(body)
        response = self.connection.getresponse()
        content = response.read()
        return _answer(response.status, dict(response.getheaders()), self._without_keys(content, manner))

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _without_keys(self, content: bytes, manner: Manner) -> bytes:
        """As the recording shows them: ``KEY0``, ``KEY1`` and ``KEY2``."""
        for number, part in enumerate(self.region.api_key_of(manner.user).split(":")):
            content = content.replace(part.encode(), f"KEY{number}".encode())
        return content

    def headers_of(self, exchange: Exchange) -> dict[str, str]:
        """The headers that the request was made with, signed anew."""
        manner = MANNERS.get(exchange.name, Manner())
        headers = {"Host": HOST, "Authorization": self._authorization(exchange, manner), **manner.headers}
        if exchange.body is not None or exchange.method in ("POST", "PUT"):
            headers["Content-Length"] = str(len((exchange.body or "").encode()))
        if exchange.body is not None and manner.content_type is not None:
            headers["Content-Type"] = manner.content_type
        return {name: value for name, value in headers.items() if value}

    def _authorization(self, exchange: Exchange, manner: Manner) -> str:
        if manner.authorization is not None:
            return manner.authorization
        consumer, token, secret = self.region.api_key_of(manner.user).split(":")
        if manner.hmac is not None:
            signer = Client(consumer, "", token, manner.hmac or secret, signature_method=SIGNATURE_HMAC)
            return _hmac(signer, exchange)
        parameters: dict[str, str | None] = {
            "oauth_nonce": secrets.token_hex(32),
            "oauth_timestamp": "+0",
            "oauth_version": "1.0",
            "oauth_signature_method": "PLAINTEXT",
            "oauth_consumer_key": consumer,
            "oauth_token": token,
            "oauth_signature": f"&{secret}",
            **manner.signed,
        }
        moment = parameters["oauth_timestamp"]
        if moment is not None and moment[0] in "+-":
            parameters["oauth_timestamp"] = str(int(time.time()) + int(moment))
        safe = "&" if manner.raw_signature else ""
        pairs = (f'{name}="{quote(value, safe=safe)}"' for name, value in parameters.items() if value is not None)
        return "OAuth " + ", ".join(pairs)


def _hmac(signer: Client, exchange: Exchange) -> str:
    form = {"Content-Type": FORM} if exchange.body else {}
    url, method = f"http://{HOST}{exchange.url}", exchange.method
    _, headers, _ = signer.sign(url, method, exchange.body, form)  # type: ignore[arg-type] # its stubs list methods
    return str(headers["Authorization"])


def _answer(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    lowered = {name.lower(): value for name, value in headers.items()}
    kind = lowered.get("content-type", "")
    if content and kind.startswith("application/json") and status < http.client.BAD_REQUEST:
        return Answer(status, lowered, json=json.loads(content))
    return Answer(status, lowered, text=content.decode("utf-8", "replace"))
