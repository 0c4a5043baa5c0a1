"""Sends the recorded requests again, each with its user, headers and credentials.

The recording has no request headers; the titles describe special ones.
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
"""The host in the recorded requests."""

TIMEOUT = 10.0
"""Seconds to wait for a response."""

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class RequestOptions:
    """The special features of a request.

    ``signed`` are changes to the OAuth parameters (None removes one). ``authorization`` replaces the whole header; if
    empty, there is none. ``hmac`` signs with HMAC-SHA1 and this secret; if empty, with the right one.
    """

    user: str = "admin"
    signed: Mapping[str, str | None] = field(default_factory=dict)
    authorization: str | None = None
    hmac: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = FORM
    raw_signature: bool = False


_BOB = RequestOptions(user="bob")
_NO_CREDENTIALS = RequestOptions(authorization="")
_JSON = RequestOptions(content_type="application/json")
_REPLAYED = RequestOptions(signed={"oauth_nonce": "b6672097cfe742ce84197558e22f99ad"})
_NOT_A_KEY = "bad"

REQUEST_OPTIONS: Mapping[str, RequestOptions] = {
    "01-version-whoami: version, no auth": _NO_CREDENTIALS,
    "01-version-whoami: whoami as a plain user": _BOB,
    "01-version-whoami: not an API path, no auth": _NO_CREDENTIALS,
    "01-version-whoami: MAAS root": _NO_CREDENTIALS,
    "02-machines-list: machines list as plain user": _BOB,
    "04-auth-errors: no Authorization, one machine": _NO_CREDENTIALS,
    "04-auth-errors: no Authorization, POST op": _NO_CREDENTIALS,
    "04-auth-errors: no Authorization, subnets": _NO_CREDENTIALS,
    "04-auth-errors: no Authorization, unknown machine": _NO_CREDENTIALS,
    "04-auth-errors: bad consumer key": RequestOptions(signed={"oauth_consumer_key": _NOT_A_KEY}),
    "04-auth-errors: bad token key": RequestOptions(signed={"oauth_token": "badtoken"}),
    "04-auth-errors: bad secret (signature)": RequestOptions(signed={"oauth_signature": "&bad"}),
    "04-auth-errors: signature not percent-encoded": RequestOptions(raw_signature=True),
    "04-auth-errors: no oauth_timestamp": RequestOptions(signed={"oauth_timestamp": None}),
    "04-auth-errors: no oauth_signature": RequestOptions(signed={"oauth_signature": None}),
    "04-auth-errors: no oauth_version": RequestOptions(signed={"oauth_version": None}),
    "04-auth-errors: old timestamp (-299 s)": RequestOptions(signed={"oauth_timestamp": "-299"}),
    "04-auth-errors: future timestamp (+1 h)": RequestOptions(signed={"oauth_timestamp": "+3600"}),
    "04-auth-errors: timestamp not a number": RequestOptions(signed={"oauth_timestamp": "soon"}),
    "04-auth-errors: nonce first use": _REPLAYED,
    "04-auth-errors: nonce second use (replay)": _REPLAYED,
    "04-auth-errors: signature method HMAC-SHA256": RequestOptions(signed={"oauth_signature_method": "HMAC-SHA256"}),
    "04-auth-errors: Basic auth": RequestOptions(authorization="Basic YWRtaW46YWRtaW4="),
    "04-auth-errors: Bearer": RequestOptions(authorization="Bearer abc"),
    "04-auth-errors: HMAC-SHA1 GET": RequestOptions(hmac=""),
    "04-auth-errors: HMAC-SHA1 POST": RequestOptions(hmac=""),
    "04-auth-errors: HMAC-SHA1 wrong secret": RequestOptions(hmac=_NOT_A_KEY),
    "04-auth-errors: plain user: admin op commission": _BOB,
    "04-auth-errors: plain user: admin-only create tag": _BOB,
    "04-auth-errors: plain user: deploy a machine owned by admin": _BOB,
    "04-auth-errors: plain user: release a machine owned by admin": _BOB,
    "04-auth-errors: plain user: events": _BOB,
    "05-wrong-calls: PUT JSON body": _JSON,
    "05-wrong-calls: POST op with broken JSON": _JSON,
    "05-wrong-calls: POST op with no body, no type": RequestOptions(content_type=None),
    "07-deploy: JSON body: deploy with a bad distro_series": _JSON,
    "16-http: Accept-Encoding: gzip": RequestOptions(headers={"Accept-Encoding": "gzip"}),
    "16-http: If-Modified-Since (now)": RequestOptions(headers={"If-Modified-Since": "Sun, 22 Nov 2026 08:42:30 GMT"}),
    "16-http: Accept: text/html": RequestOptions(headers={"Accept": "text/html"}),
    "16-http: Accept: application/xml": RequestOptions(headers={"Accept": "application/xml"}),
    "16-http: X-Forwarded-Host": RequestOptions(headers={"X-Forwarded-Host": "maas.example.com"}),
    "16-http: unknown Host": RequestOptions(headers={"Host": "nobody.example.com"}),
}


class Sender:
    """Sends recorded requests again, over one connection that is kept alive as during the recording."""

    def __init__(self, region: SimulatedRegion, base_url: str) -> None:
        self.region = region
        self.connection = http.client.HTTPConnection(
            base_url.removeprefix("http://").removesuffix("/MAAS"), timeout=TIMEOUT
        )

    def send(self, exchange: Exchange) -> Answer:
        """Send the request as it was recorded, and read the whole response."""
        options = REQUEST_OPTIONS.get(exchange.name, RequestOptions())
        body = None if exchange.body is None else exchange.body.encode()
        self.connection.putrequest(exchange.method, exchange.url, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers_of(exchange).items():
            self.connection.putheader(name, value)
        self.connection.endheaders(body)
        response = self.connection.getresponse()
        content = response.read()
        return _answer(response.status, dict(response.getheaders()), self._without_keys(content, options))

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _without_keys(self, content: bytes, options: RequestOptions) -> bytes:
        """Replace the parts of the API key as in the recording: ``KEY0``, ``KEY1`` and ``KEY2``."""
        for number, part in enumerate(self.region.api_key_of(options.user).split(":")):
            content = content.replace(part.encode(), f"KEY{number}".encode())
        return content

    def headers_of(self, exchange: Exchange) -> dict[str, str]:
        """The headers of the request, with a new signature."""
        options = REQUEST_OPTIONS.get(exchange.name, RequestOptions())
        headers = {"Host": HOST, "Authorization": self._authorization(exchange, options), **options.headers}
        if exchange.body is not None or exchange.method in ("POST", "PUT"):
            headers["Content-Length"] = str(len((exchange.body or "").encode()))
        if exchange.body is not None and options.content_type is not None:
            headers["Content-Type"] = options.content_type
        return {name: value for name, value in headers.items() if value}

    def _authorization(self, exchange: Exchange, options: RequestOptions) -> str:
        if options.authorization is not None:
            return options.authorization
        consumer, token, secret = self.region.api_key_of(options.user).split(":")
        if options.hmac is not None:
            signer = Client(consumer, "", token, options.hmac or secret, signature_method=SIGNATURE_HMAC)
            return _hmac(signer, exchange)
        parameters: dict[str, str | None] = {
            "oauth_nonce": secrets.token_hex(32),
            "oauth_timestamp": "+0",
            "oauth_version": "1.0",
            "oauth_signature_method": "PLAINTEXT",
            "oauth_consumer_key": consumer,
            "oauth_token": token,
            "oauth_signature": f"&{secret}",
            **options.signed,
        }
        moment = parameters["oauth_timestamp"]
        if moment is not None and moment[0] in "+-":
            parameters["oauth_timestamp"] = str(int(time.time()) + int(moment))
        safe = "&" if options.raw_signature else ""
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
