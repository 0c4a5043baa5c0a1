"""The settings of access over HTTP: the accepted credentials, and the sources of the principals' MAAS API keys."""

from pydantic import BaseModel, Field

from maas_mcp.setting_types import Names, Secrets, UserPath


class AccessSettings(BaseModel, defer_build=True):
    """The credentials of HTTP clients, and the MAAS API keys of principals."""

    http_tokens: UserPath = Field(
        default=None,
        description="File with the tokens of HTTP clients. `maas-mcp token new` creates it. Without tokens, issuers "
        "and a trusted proxy, clients need no token, and the server accepts only loopback addresses.",
    )
    http_issuers: Names = Field(
        default=(),
        description="URLs of the OAuth 2.1 issuers whose access tokens are accepted, exactly as in the claim iss of "
        "the tokens: https://sso.example.com/realms/lab.",
    )
    http_url: str | None = Field(
        default=None,
        description="Public URL of MCP, such as https://maas-mcp.example.com/mcp. OAuth clients request tokens for it.",
    )
    http_audiences: Names = Field(
        default=(),
        description="Accepted values of the claim aud of access tokens. Empty: only the URL in MAAS_MCP_HTTP_URL.",
    )
    http_principal_claim: str = Field(
        default="sub",
        min_length=1,
        description="Claim of access tokens that identifies a principal's MAAS API key. Users must not be able to "
        "change its value.",
    )
    http_issuer_ca_bundle: UserPath = Field(
        default=None, description="PEM file with the CA certificates to trust for issuers, instead of the system's."
    )
    http_keys: UserPath = Field(
        default=None,
        description='TOML file with the MAAS API key of each principal: "NAME" = "consumer:token:secret" for the owner '
        "of a token, and a table for each issuer.",
    )
    http_proxy_networks: Names = Field(
        default=(),
        description="Addresses and networks of the proxies whose header X-MAAS-API-Key is accepted, such as 10.0.0.5 "
        "or 10.0.0.0/24. Empty: any address, if MAAS_MCP_HTTP_PROXY_SECRET is set.",
    )
    http_proxy_secret: Secrets = Field(
        default=(),
        description="Secret that a proxy sends in the header X-MAAS-Proxy-Secret to have its header X-MAAS-API-Key "
        "accepted. If there are several, each is accepted.",
    )
    vault: UserPath = Field(
        default=None,
        description="Directory of the encrypted MAAS API keys of principals. `maas-mcp login` fills it.",
    )
    vault_key: Secrets = Field(
        default=(),
        description="Key of the vault: 32 random bytes in Base64, from `openssl rand -base64 32`. If there are "
        "several, the first encrypts, and each decrypts.",
    )
    vault_key_file: UserPath = Field(
        default=None, description="File with the key of the vault, instead of MAAS_MCP_VAULT_KEY."
    )
