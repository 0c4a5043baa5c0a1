"""TLS with a real server: trusted certificates, and the hints for all others."""

import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import pytest
import truststore
from anyio.abc import ByteStream, SocketAttribute
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from maas_mcp.errors import MaasTlsError, SettingsError
from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.connection import connect
from maas_mcp.maas.tls import read_certificate_names, tls_context, tls_error
from maas_mcp.settings import Settings
from tests.unit.core.maas.fake_region import KEY, FakeRegion, http, respond_with, serving_fake

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
SIGNING = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Use the real clock, which sockets need. No test waits on it."""
    return str(request.param)


@dataclass
class Certificate:
    """A certificate with its key, for signing others."""

    certificate: x509.Certificate
    key: PrivateKey
    issuer: "Certificate | None"

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def chain(self) -> Iterator[bytes]:
        """Yield this certificate and its issuers, without the root."""
        yield self.pem
        if self.issuer and self.issuer.issuer:
            yield from self.issuer.chain()

    def bundle(self, folder: Path) -> Path:
        (file := folder / "ca.pem").write_bytes(self.pem)
        return file


def issue(
    *names: str,
    issuer: Certificate | None = None,
    ca: bool = False,
    valid: tuple[datetime, datetime] = (NOW - DAY, NOW + DAY),
    key: PrivateKey | None = None,
    without: type[x509.ExtensionType] | None = None,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    path_length: int | None = None,
    called: str = "the CA",
) -> Certificate:
    """Issue a certificate. Without an issuer it is self-signed."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called if ca else "the region")])
    above = issuer.key if issuer else key
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=ca, path_length=path_length), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), False),
    ]
    if ca:
        extensions.append((SIGNING, True))
    else:
        extensions.append((x509.ExtendedKeyUsage([purpose]), False))
    if names:
        extensions.append((x509.SubjectAlternativeName([general_name(name) for name in names]), False))
    builder = x509.CertificateBuilder(
        issuer_name=issuer.certificate.subject if issuer else subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=valid[0],
        not_valid_after=valid[1],
    )
    for extension, critical in extensions:
        if without is None or not isinstance(extension, without):
            builder = builder.add_extension(extension, critical)
    return Certificate(builder.sign(above, SHA256()), key, issuer)


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def server(certificate: Certificate, folder: Path, ciphers: str = "DEFAULT") -> ssl.SSLContext:
    """Create a server's context with the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(ciphers)
    key = certificate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (file := folder / "server.pem").write_bytes(key + b"".join(certificate.chain()))
    context.load_cert_chain(file)
    return context


async def refusal(context: ssl.SSLContext, bundle: Path) -> MaasTlsError:
    """Return the error for a server that sends a TLS alert, which an anyio server would not send."""

    def refuse() -> None:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as stream:
            with suppress(ssl.SSLError):
                stream.do_handshake()
            while socket.socket.recv(stream, 65_536):  # otherwise the system resets the connection and drops the alert
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, refuse)
            transport = FakeRegion(listener.getsockname()[1], "https").transport(ca_bundle=bundle)
            with anyio.fail_after(10), pytest.raises(MaasTlsError, match="failed") as caught:
                await transport.request("GET", "machines/")
            await transport.aclose()
    assert not caught.value.retryable
    assert not caught.value.sent
    return caught.value


async def failure(context: ssl.SSLContext, bundle: Path | None = None) -> MaasTlsError:
    """Return the error for a server with the given context."""
    async with serving_fake(respond_with(http()), context) as region:
        with anyio.fail_after(10), pytest.raises(MaasTlsError) as caught:
            await region.transport(ca_bundle=bundle).request("GET", "machines/")
    error = caught.value
    assert not error.retryable
    assert not error.sent
    assert region.received == []
    assert f"localhost:{region.port}" in error.message
    assert ".." not in error.message
    return error


@pytest.fixture(scope="module")
def ca() -> Certificate:
    return issue(ca=True)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Create contexts as Python 3.13 and newer do."""
    create = ssl.create_default_context

    def created(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        context = create(*args, **kwargs)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", created)


@pytest.mark.usefixtures("strict")
async def test_a_private_ca_is_trusted_through_the_bundle(ca: Certificate, tmp_path: Path) -> None:
    context = server(issue("localhost", issuer=ca), tmp_path)
    async with serving_fake(respond_with(http(200, '"vm"')), context) as region:
        assert await region.transport(ca_bundle=ca.bundle(tmp_path)).request("GET", "maas/") == "vm"


async def test_a_certificate_in_the_bundle_needs_no_root(ca: Certificate, tmp_path: Path) -> None:
    middle = issue(ca=True, issuer=ca)
    for trusted, shown in ((middle, issue("localhost", issuer=middle)), *[(issue("localhost"),) * 2]):
        async with serving_fake(respond_with(http(200, '"vm"')), server(shown, tmp_path)) as region:
            transport = region.transport(ca_bundle=trusted.bundle(tmp_path))
            assert await transport.request("GET", "maas/") == "vm"


async def test_an_unknown_ca_needs_a_bundle(ca: Certificate, tmp_path: Path) -> None:
    error = await failure(server(issue("localhost", issuer=ca), tmp_path))
    assert "is not trusted: unable to get local issuer certificate." in error.message
    assert str(error.hint).startswith("Set MAAS_CA_BUNDLE to the PEM file of the CA that signed it")


async def test_a_self_signed_certificate_needs_a_bundle(tmp_path: Path) -> None:
    error = await failure(server(issue("localhost"), tmp_path))
    assert "is not trusted: self-signed certificate." in error.message
    assert "Set MAAS_CA_BUNDLE to the PEM file of the CA that signed it, or of the certificate itself" in str(
        error.hint
    )


async def test_a_bundle_without_the_ca_is_named(ca: Certificate, tmp_path: Path) -> None:
    bundle = issue(ca=True).bundle(tmp_path)  # the same name with another key
    error = await failure(server(issue("localhost", issuer=ca), tmp_path), bundle)
    assert str(error.hint).startswith(f"The CA that signed it is not in {bundle}, the file of MAAS_CA_BUNDLE.")


@pytest.mark.parametrize(
    ("valid", "reported", "hint"),
    [
        ((NOW - 2 * DAY, NOW - DAY), "certificate has expired", "Renew the region's certificate"),
        ((NOW + DAY, NOW + 2 * DAY), "certificate is not yet valid", "Check the clock of this machine"),
    ],
)
async def test_an_expired_or_future_certificate_gets_a_hint_about_clocks(
    ca: Certificate, tmp_path: Path, valid: tuple[datetime, datetime], reported: str, hint: str
) -> None:
    error = await failure(server(issue("localhost", issuer=ca, valid=valid), tmp_path), ca.bundle(tmp_path))
    assert reported in error.message
    assert str(error.hint).startswith(hint)
    assert f"which shows {datetime.now(UTC):%Y-%m-%d}" in str(error.hint)
    assert "MAAS_CA_BUNDLE" not in str(error.hint)


@pytest.mark.parametrize(
    ("names", "reported"),
    [
        (("maas.example.com", "10.0.0.2"), "It is for maas.example.com, 10.0.0.2."),
        (tuple(f"{each}.example.com" for each in "abcdefg"), "d.example.com, e.example.com and others."),
        ((), "It has no subject alternative names, so it fits no host."),
    ],
)
async def test_the_error_for_another_hosts_certificate_lists_its_hosts(
    ca: Certificate, tmp_path: Path, names: tuple[str, ...], reported: str
) -> None:
    error = await failure(server(issue(*names, issuer=ca), tmp_path), ca.bundle(tmp_path))
    assert "Hostname mismatch, certificate is not valid for 'localhost'. " in error.message
    assert error.message.endswith(reported)
    assert str(error.hint).startswith("Set MAAS_URL to a host name in the certificate")
    assert "has localhost as a subject alternative name" in str(error.hint)


async def test_a_certificate_for_a_host_name_does_not_cover_its_address(ca: Certificate, tmp_path: Path) -> None:
    context = server(issue("localhost", issuer=ca), tmp_path)
    async with serving_fake(respond_with(http()), context) as region:
        transport = FakeRegion(region.port, "https", host="127.0.0.1").transport(ca_bundle=ca.bundle(tmp_path))
        with pytest.raises(MaasTlsError, match=r"IP address mismatch.* It is for localhost\.") as caught:
            await transport.request("GET", "machines/")
        await transport.aclose()
    assert "Set MAAS_URL to a host name" in str(caught.value.hint)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("without", [x509.KeyUsage, x509.SubjectKeyIdentifier])
async def test_a_ca_that_python_3_13_rejects_must_be_reissued(
    tmp_path: Path, without: type[x509.ExtensionType]
) -> None:
    ca = issue(ca=True, without=without)
    error = await failure(server(issue("localhost", issuer=ca), tmp_path), ca.bundle(tmp_path))
    assert "RFC 5280, which Python 3.13 and newer require" in str(error.hint)
    assert "MAAS_CA_BUNDLE" not in str(error.hint)


@pytest.mark.usefixtures("strict")
async def test_a_certificate_without_an_authority_key_identifier_must_be_reissued(
    ca: Certificate, tmp_path: Path
) -> None:
    shown = issue("localhost", issuer=ca, without=x509.AuthorityKeyIdentifier)
    error = await failure(server(shown, tmp_path), ca.bundle(tmp_path))
    assert "Missing Authority Key Identifier" in error.message
    assert "RFC 5280" in str(error.hint)


async def test_a_certificate_signed_by_a_non_ca_is_rejected(ca: Certificate, tmp_path: Path) -> None:
    shown = issue("localhost", issuer=issue("elsewhere", issuer=ca))
    error = await failure(server(shown, tmp_path), ca.bundle(tmp_path))
    assert "is not a CA certificate" in str(error.hint)


async def test_a_ca_with_path_length_zero_has_no_intermediate_ca(tmp_path: Path) -> None:
    root = issue(ca=True, path_length=0)
    shown = issue("localhost", issuer=issue(ca=True, issuer=root, called="another CA"))
    error = await failure(server(shown, tmp_path), root.bundle(tmp_path))
    assert "its allowed names or its chain length are limited" in str(error.hint)


async def test_a_client_certificate_is_rejected_for_a_server(ca: Certificate, tmp_path: Path) -> None:
    shown = issue("localhost", issuer=ca, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    error = await failure(server(shown, tmp_path), ca.bundle(tmp_path))
    assert "serverAuth" in str(error.hint)


async def test_a_short_key_must_be_replaced(ca: Certificate, tmp_path: Path) -> None:
    shown = issue("localhost", issuer=ca, key=rsa.generate_private_key(65_537, 1024))
    error = await failure(server(shown, tmp_path, "DEFAULT@SECLEVEL=0"), ca.bundle(tmp_path))
    assert "RSA key of at least 2048 bits" in str(error.hint)


async def test_a_revoked_certificate_must_be_replaced(
    ca: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = issue("localhost", issuer=ca)
    withdrawn = x509.RevokedCertificateBuilder(shown.certificate.serial_number, NOW).build()
    builder = x509.CertificateRevocationListBuilder(ca.certificate.subject, NOW - DAY, NOW + DAY, [], [withdrawn])
    (file := tmp_path / "crl.pem").write_bytes(builder.sign(ca.key, SHA256()).public_bytes(Encoding.PEM))
    create = ssl.create_default_context

    def checking(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        context = create(*args, **kwargs)
        context.load_verify_locations(file)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        return context

    monkeypatch.setattr(ssl, "create_default_context", checking)
    error = await failure(server(shown, tmp_path), ca.bundle(tmp_path))
    assert "certificate revoked" in error.message
    assert str(error.hint).startswith("The CA has revoked the certificate.")


async def test_https_to_a_port_that_speaks_http_is_explained() -> None:
    async def plain(stream: ByteStream) -> None:
        async with stream:
            await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    listener = await anyio.create_tcp_listener(local_host="localhost", family=socket.AF_INET)
    port = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, plain)
        with pytest.raises(MaasTlsError, match="failed") as caught:
            await FakeRegion(port, "https").transport().request("GET", "machines/")
        tasks.cancel_scope.cancel()
    assert str(caught.value.hint).startswith("That port seems to serve plain http. Set MAAS_URL to the https port")


async def test_http_to_a_port_that_speaks_https_is_explained() -> None:
    page = "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"
    async with serving_fake(respond_with(http(400, page, "text/html"))) as region:
        with pytest.raises(MaasTlsError, match=f"localhost:{region.port} serves https on that port") as caught:
            await region.transport().request("POST", "machines/")
    assert not caught.value.sent
    assert "https://" in str(caught.value.hint)


async def test_a_server_with_old_protocols_differs_from_an_untrusted_one(ca: Certificate, tmp_path: Path) -> None:
    context = server(issue("localhost", issuer=ca), tmp_path, "ALL@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    error = await refusal(context, ca.bundle(tmp_path))
    assert "1.2 or 1.3 is required" in str(error.hint)


async def test_a_refused_handshake_differs_from_an_untrusted_certificate(ca: Certificate, tmp_path: Path) -> None:
    shown = issue("localhost", issuer=ca, key=rsa.generate_private_key(65_537, 2048))
    context = server(shown, tmp_path, "AES128-GCM-SHA256")  # Python offers no cipher without forward secrecy
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert "no common cipher" in str((await refusal(context, ca.bundle(tmp_path))).hint)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_requires_a_client_certificate_gets_a_hint(
    ca: Certificate, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    context = server(issue("localhost", issuer=ca), tmp_path)
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.bundle(tmp_path))
    assert "requires a client certificate" in str((await refusal(context, ca.bundle(tmp_path))).hint)


async def test_a_server_that_does_not_know_the_host_name_gets_a_hint(ca: Certificate, tmp_path: Path) -> None:
    context = server(issue("localhost", issuer=ca), tmp_path)
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    assert "does not know the host name localhost" in str((await refusal(context, ca.bundle(tmp_path))).hint)


@pytest.mark.parametrize("bundle", [None, Path("ca.pem")])
def test_every_verification_error_has_a_complete_hint(bundle: Path | None) -> None:
    for code in range(110):
        error = ssl.SSLCertVerificationError(1, "x")
        error.verify_code, error.verify_message = code, "it is so."
        reported = tls_error(error, RegionAccess("https://maas/MAAS/api/2.0/", KEY, bundle), "maas:443", None)
        assert reported.message == "The certificate of MAAS at maas:443 is not trusted: it is so.", code
        assert reported.hint, code
        assert "{" not in reported.hint, code
        assert "None" not in reported.hint, code


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
async def test_a_bundle_from_any_editor_is_read_with_its_first_certificate(
    ca: Certificate, tmp_path: Path, encoding: str
) -> None:
    (bundle := tmp_path / "ca.pem").write_bytes((ca.pem + issue(ca=True).pem).decode().encode(encoding))
    context = server(issue("localhost", issuer=ca), tmp_path)
    async with serving_fake(respond_with(http(200, '"vm"')), context) as region:
        assert await region.transport(ca_bundle=bundle).request("GET", "maas/") == "vm"


async def test_a_bundle_may_contain_comments_in_any_encoding(ca: Certificate, tmp_path: Path) -> None:
    (bundle := tmp_path / "ca.pem").write_bytes(b"# caf\xe9\r\n" + ca.pem.replace(b"\n", b"\r\n") + b"# \xff\0\n")
    context = server(issue("localhost", issuer=ca), tmp_path)
    async with serving_fake(respond_with(http(200, '"vm"')), context) as region:
        assert await region.transport(ca_bundle=bundle).request("GET", "maas/") == "vm"


PEM_KEY = b"-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"
DAMAGED = b"-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        (None, "cannot be read: No such file"),
        (b"hello", "is not a PEM file with certificates"),
        (b"", "is not a PEM file with certificates"),
        (DAMAGED, "contains a damaged certificate"),
        (DAMAGED.replace(b"hunter2", "é".encode()), "is not a PEM file with certificates"),
        (PEM_KEY, "contains a private key and no certificate"),
        (issue(ca=True).certificate.public_bytes(Encoding.DER), "is in DER format, not PEM"),
        (b"a" * (10 * 1024**2 + 1), "cannot be read: it is larger than 10 MiB"),
    ],
)
def test_a_ca_bundle_that_cannot_be_used_is_a_settings_error(
    tmp_path: Path, content: bytes | None, reported: str
) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    settings = Settings(maas_url="https://maas", maas_api_key="a:b:c", maas_ca_bundle=bundle)
    with pytest.raises(SettingsError, match=reported) as caught:
        connect(settings.require_region())
    assert str(bundle) in caught.value.message
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"


def test_a_directory_of_certificates_is_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: it is a directory, not a file"):
        connect(Settings(maas_url="https://maas", maas_api_key="a:b:c", maas_ca_bundle=tmp_path).require_region())


@pytest.mark.parametrize(
    ("content", "reported"),
    [(None, "No such file or directory"), (b"hello", "it contains no certificate in PEM format")],
)
def test_unreadable_system_certificates_are_a_settings_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, reported: str
) -> None:
    bundle = tmp_path / "all.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with pytest.raises(SettingsError, match=f"^SSL_CERT_FILE .*: {reported}") as caught:
        connect(Settings(maas_url="https://maas", maas_api_key="a:b:c").require_region())
    assert str(bundle) in caught.value.message


async def test_the_cas_of_the_environment_are_trusted(
    ca: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca.bundle(tmp_path)))
    async with serving_fake(respond_with(http(200, '"vm"')), server(issue("localhost", issuer=ca), tmp_path)) as region:
        assert await region.transport().request("GET", "maas/") == "vm"


@pytest.mark.usefixtures("unset_ca_variables")
def test_a_system_without_cas_gets_mozillas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl.SSLContext, "get_ca_certs", lambda *_: [])
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: system_paths(tmp_path))
    asked: list[Any] = []
    create = ssl.create_default_context

    def created(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        asked.append(kwargs)
        return create(*args, **kwargs)

    monkeypatch.setattr(ssl, "create_default_context", created)
    connect(Settings(maas_url="https://maas", maas_api_key="a:b:c").require_region())
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    connect(Settings(maas_url="https://maas", maas_api_key="a:b:c").require_region())
    assert [str(each.get("cafile", "")).endswith("cacert.pem") for each in asked] == [False, True, False, False]
    assert asked[-1] == {"cafile": None, "capath": str(tmp_path)}


REGION = RegionAccess("https://localhost/MAAS/api/2.0/", KEY, None)


@pytest.fixture
def unset_ca_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the variables that select CAs."""
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)


def system_paths(folder: Path) -> ssl.DefaultVerifyPaths:
    """Return OpenSSL's paths on a system with a directory of CAs and no single file."""
    return ssl.DefaultVerifyPaths("", str(folder), "SSL_CERT_FILE", "/nowhere", "SSL_CERT_DIR", str(folder))


@pytest.mark.usefixtures("unset_ca_variables")
def test_a_system_with_a_directory_of_cas_gets_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "5ed36f99.0").write_text("found by its name, when a certificate is verified")
    monkeypatch.setattr(ssl.SSLContext, "get_ca_certs", lambda *_: [])
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: system_paths(tmp_path))
    monkeypatch.setattr("certifi.where", lambda: pytest.fail("asked for Mozilla's"))

    assert tls_context(REGION).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.usefixtures("unset_ca_variables")
class TestWhereTheSystemItselfVerifies:
    """macOS and Windows with truststore, which uses OpenSSL here. httpx and anyio get the same context."""

    @pytest.fixture(autouse=True)
    def platform(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("maas_mcp.maas.tls._SYSTEM_VERIFIES", True)

    async def test_the_systems_cas_are_trusted(
        self, ca: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        context = server(issue("localhost", issuer=ca), tmp_path)
        async with serving_fake(respond_with(http(200, '"vm"')), context) as region:
            transport = region.transport()
            monkeypatch.setenv("SSL_CERT_FILE", str(ca.bundle(tmp_path)))  # truststore reads it at each handshake
            assert await transport.request("GET", "maas/") == "vm"

    async def test_an_unknown_ca_needs_a_bundle(self, ca: Certificate, tmp_path: Path) -> None:
        error = await failure(server(issue("localhost", issuer=ca), tmp_path))
        assert "is not trusted: unable to get local issuer certificate." in error.message
        assert str(error.hint).startswith("Set MAAS_CA_BUNDLE to the PEM file of the CA that signed it")

    def test_a_bundle_takes_precedence(self, ca: Certificate, tmp_path: Path) -> None:
        region = RegionAccess(REGION.api_url, KEY, ca.bundle(tmp_path))
        assert not isinstance(tls_context(region), truststore.SSLContext)

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
    def test_the_cas_of_the_environment_take_precedence(
        self, ca: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        bundle = ca.bundle(tmp_path)
        monkeypatch.setenv(variable, str(bundle if variable == "SSL_CERT_FILE" else tmp_path))
        assert not isinstance(tls_context(REGION), truststore.SSLContext)

    async def test_certificate_names_hidden_by_the_system_are_unknown_and_not_missing(
        self, ca: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ssl.SSLObject, "getpeercert", lambda *_: {})  # OpenSSL has not verified it
        async with serving_fake(respond_with(http()), server(issue("other", issuer=ca), tmp_path)) as fake:
            region = RegionAccess(f"https://localhost:{fake.port}/MAAS/api/2.0/", KEY, ca.bundle(tmp_path))
            assert await read_certificate_names(region, "localhost", fake.port) is None


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (-67843, "Set MAAS_CA_BUNDLE"),
        (0x800B0109, "Set MAAS_CA_BUNDLE"),
        (0x800B010A, "Set MAAS_CA_BUNDLE"),
        (-67818, "Renew the region's certificate"),
        (0x800B0101, "Renew the region's certificate"),
        (-67602, "Set MAAS_URL to a host name"),
        (0x800B010F, "Set MAAS_URL to a host name"),
        (-67820, "The CA has revoked"),
        (0x80092010, "The CA has revoked"),
        (0x800B010C, "The CA has revoked"),
        (0x800B0110, "The certificate is not for servers"),
    ],
)
def test_the_errors_of_macos_and_windows_have_the_same_hints_as_those_of_openssl(code: int, hint: str) -> None:
    error = ssl.SSLCertVerificationError("x")
    error.verify_code, error.verify_message = code, "it is so."
    assert str(tls_error(error, REGION, "localhost:443", None).hint).startswith(hint)


def test_a_verification_error_without_a_code_gets_a_message() -> None:
    reported = tls_error(ssl.SSLCertVerificationError("Peer sent no certificates"), REGION, "localhost:443", None)
    assert reported.message == "The certificate of MAAS at localhost:443 is not trusted: Peer sent no certificates."
    assert reported.hint
