"""The settings of the HTTP server: certificates, accepted names, limits, sessions and metrics."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from maas_mcp.setting_types import Names, UserPath, lower


class HttpSettings(BaseModel, defer_build=True):
    """How the server speaks HTTP."""

    http_tls_cert: UserPath = Field(default=None, description="PEM file with the certificate chain for HTTPS.")
    http_tls_key: UserPath = Field(default=None, description="PEM file with the private key for HTTPS.")
    http_tls_by_proxy: bool = Field(
        default=False,
        description="Allow plain HTTP on any address, because a proxy in front of this server terminates TLS.",
    )
    http_hosts: Names = Field(
        default=(),
        description="Values of the HTTP header Host to accept in addition to loopback names, as clients send them: "
        "maas-mcp.example.com:8443.",
    )
    http_origins: Names = Field(
        default=(),
        description="Values of the HTTP header Origin to accept, such as https://app.example.com. Empty: web pages "
        "cannot call this server.",
    )
    http_body_limit: int = Field(
        default=4_194_304, ge=1024, le=1_073_741_824, description="Maximum size of an HTTP request body, in bytes."
    )
    http_rate: float = Field(
        default=20.0, gt=0, le=10_000, description="Maximum HTTP requests per second of one principal, on average."
    )
    http_requests: int = Field(
        default=100, ge=1, le=100_000, description="Maximum concurrent HTTP requests of one principal."
    )
    http_principal_sessions: int = Field(
        default=100, ge=1, le=100_000, description="Maximum open HTTP sessions of one principal."
    )
    http_sessions: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Maximum open HTTP sessions. Only protocol revisions before 2026-07-28 have sessions.",
    )
    http_session_idle: float = Field(
        default=1800.0, ge=10, le=86_400, description="Seconds without a request after which an HTTP session is closed."
    )
    http_stateless: bool = Field(
        default=False,
        description="Serve protocol revisions before 2026-07-28 without sessions, so that each request may reach "
        "another replica. Such a client can then cancel a call only by closing its response stream, and it receives no "
        "questions and no announcements of changes.",
    )
    http_metrics: Annotated[Literal["token", "open", "off"] | None, BeforeValidator(lower)] = Field(
        default=None,
        description="Readers of /metrics: token, clients with any token, or everyone if no tokens are set; open, "
        "everyone; off, nobody. By default token if the extra maas-mcp-core[metrics] is installed.",
    )
