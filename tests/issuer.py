"""A small OAuth issuer on loopback: metadata, keys and access tokens of its own, and the ways in which issuers fail."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from typing import Any, Literal
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Fault = Literal["down", "silent", "endless", "huge", "not JSON", "no keys", "redirect", "other issuer", "unsafe keys"]


@cache
def _rsa_keys() -> Iterator[rsa.RSAPrivateKey]:
    """Three keys in turn, because it takes a tenth of a second to generate one."""
    return cycle([rsa.generate_private_key(65537, 2048) for _ in range(3)])


def new_key(algorithm: str = "ES256") -> PrivateKey:
    """Return a key for an algorithm that differs from the one before."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        return ec.generate_private_key(curves[algorithm])
    return next(_rsa_keys())


def jwk(key: PrivateKey, **parameters: object) -> dict[str, Any]:
    """The public part of a key as a JSON Web Key."""
    public = key.public_key()
    match public:
        case rsa.RSAPublicKey():
            data = RSAAlgorithm.to_jwk(public, as_dict=True)
        case ec.EllipticCurvePublicKey():
            data = ECAlgorithm.to_jwk(public, as_dict=True)
        case _:
            data = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {**{name: value for name, value in data.items() if name != "key_ops"}, **parameters}


def encoded(part: object) -> str:
    """A part of a token that is made by hand."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def confused(key: PrivateKey, claims: dict[str, Any], kid: str) -> str:
    """A token signed with HS256, whose secret is the issuer's public key."""
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': kid})}.{encoded(claims)}"
    return f"{signed}.{encoded(hmac.digest(pem, signed.encode(), hashlib.sha256))}"


def unsigned(claims: dict[str, Any], kid: str = "first", algorithm: str = "none") -> str:
    """A token without a signature."""
    return f"{encoded({'alg': algorithm, 'typ': 'at+jwt', 'kid': kid})}.{encoded(claims)}."


@dataclass
class Issuer:
    """One running issuer."""

    url: str
    audience: str = "https://maas-mcp.example.com/mcp"
    algorithm: str = "ES256"
    keys: dict[str, PrivateKey] = field(default_factory=dict)
    """The published keys, by their ids."""
    fault: Fault | None = None
    requests: list[str] = field(default_factory=list)
    """The paths of all requests."""
    token_requests: list[dict[str, str]] = field(default_factory=list)
    """The parameters of all requests for tokens."""
    openid_only: bool = False
    """Whether it has only OpenID Connect's metadata, as Keycloak before version 23."""
    released: threading.Event = field(default_factory=threading.Event)
    """Ends the responses of the faults ``silent`` and ``endless``."""

    @property
    def key_requests(self) -> int:
        """The number of times that the keys were read."""
        return sum(path.endswith("/keys") for path in self.requests)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a token. A change to ``None`` removes a claim."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "f81d4fae",
            "aud": self.audience,
            "iat": now,
            "exp": now + 300,
            "scope": "openid maas:destroy",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, kid: str = "first", key: PrivateKey | None = None, header: object = None, **changes: Any) -> str:
        """A signed access token."""
        headers = {"kid": kid, "typ": "at+jwt", **(header if isinstance(header, dict) else {})}
        return jwt.encode(self.claims(**changes), key or self.keys[kid], self.algorithm, headers=headers)

    @property
    def key_set(self) -> dict[str, Any]:
        return {"keys": [jwk(key, kid=kid, use="sig") for kid, key in self.keys.items()]}


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        issuer = self.issuer
        issuer.requests.append(self.path)
        match issuer.fault:
            case "down":
                self._send(503, b"")
            case "silent":
                issuer.released.wait()
            case "endless":
                self._send_endlessly()
            case "redirect":
                self._send(302, b"", Location=f"{issuer.url}/elsewhere")
            case _:
                self._answer()

    def do_POST(self) -> None:
        """Issue a token to a client with credentials (RFC 6749, section 4.4), for a resource (RFC 8707)."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        given = {name: values[0] for name, values in form.items()}
        self.issuer.token_requests.append(given)
        token = self.issuer.token(scope=given.get("scope", ""), aud=given["resource"])
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": given.get("scope", "")}
        self._send(200, json.dumps(answer).encode())

    def _answer(self) -> None:
        issuer, path = self.issuer, self.path
        issuer_path = issuer.url.split("/", 3)[3]
        if path == f"/{issuer_path}/keys":
            bodies = {"huge": b" " * 1_000_000, "not JSON": b"[" * 2000, "no keys": b'{"keys": []}'}
            self._send(200, bodies.get(issuer.fault or "", json.dumps(issuer.key_set).encode()))
        elif path == f"/{issuer_path}/.well-known/openid-configuration" or (
            path == f"/.well-known/oauth-authorization-server/{issuer_path}" and not issuer.openid_only
        ):
            name = "https://other.example.com" if issuer.fault == "other issuer" else issuer.url
            keys = "http://keys.example.com/keys" if issuer.fault == "unsafe keys" else f"{issuer.url}/keys"
            metadata = {
                "issuer": name,
                "jwks_uri": keys,
                "authorization_endpoint": f"{issuer.url}/authorize",
                "token_endpoint": f"{issuer.url}/token",
                "response_types_supported": ["code"],
                "grant_types_supported": ["client_credentials"],
            }
            self._send(200, json.dumps(metadata).encode())
        else:
            self._send(404, b"")

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _send_endlessly(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while not self.issuer.released.is_set():
                self.wfile.write(b" " * 65_536)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Tests read the requests instead."""


@contextmanager
def issuing(path: str = "realms/lab", algorithm: str = "ES256") -> Iterator[Issuer]:
    """An issuer that runs during the block."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}/{path}", algorithm=algorithm)
    issuer.keys["first"] = new_key(algorithm)
    handler.issuer = issuer  # type: ignore[attr-defined] # made by type()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
