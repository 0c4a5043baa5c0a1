"""The settings, read from arguments, the environment and a TOML file in that order, before plugins are imported."""

import os
import tomllib
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import KEY_HINT, ApiKey, RegionAccess, api_url
from maas_mcp.policy.configuration import STANDARD, Policy
from maas_mcp.policy.selection import SiteSelection, check_patterns
from maas_mcp.setting_types import Names, Secrets, UserPath, expand_user, lower, upper
from maas_mcp.setting_values import describe_placeholder, guess_variable, unwrap
from maas_mcp.text_files import read_text

CONFIG_VARIABLE: Final = "MAAS_MCP_CONFIG"
"""The environment variable with the path of the TOML file. If it is set but empty, no file is read."""
PLUGIN_TABLES: Final = "plugins"
"""The key of the TOML file with a table for each plugin."""
POLICY_SETTINGS: Final = ("mode", "policy", "toolsets", "tools_allow", "tools_block", "admin_tools")
"""The settings that a reload replaces."""
_Patterns = Annotated[Names, AfterValidator(check_patterns)]
_DEMO_HINT: Final = "`maas-mcp demo` uses a simulated region and needs neither."


class Settings(BaseSettings):
    """The configuration of maas-mcp. Use :meth:`load`, whose errors explain how to fix a setting."""

    model_config = SettingsConfigDict(
        env_prefix="MAAS_MCP_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    maas_url: str | None = Field(
        default=None,
        validation_alias="MAAS_URL",
        repr=False,  # it may contain a password until require_region() has rejected it
        description="URL of the MAAS region, such as https://maas.example.com:5443/MAAS.",
    )
    maas_api_key: SecretStr | None = Field(
        default=None, validation_alias="MAAS_API_KEY", description="API key of a MAAS user: consumer:token:secret."
    )
    maas_ca_bundle: UserPath = Field(
        default=None,
        validation_alias="MAAS_CA_BUNDLE",
        description="PEM file with the CA certificates to trust instead of the system's.",
    )
    maas_allow_http: bool = Field(
        default=False,
        validation_alias="MAAS_ALLOW_HTTP",
        description="Allow http:// to a region on another host. The API key is then sent unencrypted.",
    )
    poll_interval: float = Field(
        default=2.0, ge=0.05, le=60, description="Seconds between polls while operations are being followed."
    )
    polling: str = Field(
        default="",
        description="Name of the polling strategy for all operations, such as status, which reads no events. "
        "Empty: each operation uses its own.",
    )
    secret: Secrets = Field(
        default=(),
        description="Secret that signs operation ids, at least 16 characters. Servers with the same secret accept "
        "each other's ids. Of several secrets, the first signs and all of them verify. By default a secret is "
        "generated and stored in the state directory.",
    )
    state_dir: UserPath = Field(
        default=None, description="Directory of the generated secret. By default the user's state directory."
    )
    outage_limit: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        description="Seconds that the region may be unreachable before following an operation ends with an error.",
    )
    answer_within: float | None = Field(
        default=None,
        ge=0,
        le=86_400,
        description="Seconds within which a call that follows an operation answers with its operation_id, for clients "
        "that give up earlier than the operation ends. 0: no limit. By default 50 for calls without a progress token.",
    )
    mode: Annotated[str, BeforeValidator(lower)] = Field(
        default=STANDARD,
        description="Mode of the policy: read-only serves no tool that changes MAAS; standard confirms calls that "
        "destroy something; unattended asks nothing and requires a plan for them. [policy.modes] can add modes.",
    )
    policy: Policy = Field(
        default=Policy(),
        description="Rules of the policy: the table [policy] of the configuration file, or JSON in the environment.",
    )
    toolsets: Names = Field(
        default=(),
        description="Serve only the tools of these toolsets, such as inventory or power. The toolset operations comes "
        "with each long-running tool. Empty: all.",
    )
    tools_allow: _Patterns = Field(
        default=(),
        description="Serve only these tools, by name, by glob (*_machine) or by annotation (@read-only, "
        "@destructive, @idempotent). Empty: all.",
    )
    tools_block: _Patterns = Field(
        default=(), description="Never serve these tools, written as in MAAS_MCP_TOOLS_ALLOW, which it overrides."
    )
    admin_tools: Annotated[Literal["explain", "hide"], BeforeValidator(lower)] = Field(
        default="explain",
        description="Tools that MAAS allows to administrators only, for other MAAS users: explain serves them, and a "
        "call fails with MAAS's reason; hide does not serve them.",
    )
    http_tokens: UserPath = Field(
        default=None,
        description="File with the tokens of HTTP clients. `maas-mcp token new` creates it. Without tokens, issuers "
        "and a trusted proxy, clients need no token, and the server accepts only loopback addresses.",
    )
    http_issuers: Names = Field(
        default=(),
        description="URLs of the OAuth 2.1 issuers whose access tokens are accepted, exactly as in the tokens' claim "
        "iss, such as https://sso.example.com/realms/lab.",
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
        description="Claim of access tokens by which the MAAS API key of a principal is found. Users must not be able "
        "to change its value.",
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
        "accepted. Of several secrets, each is accepted.",
    )
    vault: UserPath = Field(
        default=None,
        description="Directory of the encrypted MAAS API keys of principals. `maas-mcp login` fills it.",
    )
    vault_key: Secrets = Field(
        default=(),
        description="Key of the vault: 32 random bytes in Base64, from `openssl rand -base64 32`. Of several keys, the "
        "first encrypts and each decrypts.",
    )
    vault_key_file: UserPath = Field(
        default=None, description="File with the key of the vault, instead of MAAS_MCP_VAULT_KEY."
    )
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
        description="Who may read /metrics: token, the owner of any token, or everyone where no tokens are set; open, "
        "everyone; off, nobody. By default token if the extra maas-mcp-core[metrics] is installed.",
    )
    log_format: Annotated[Literal["text", "json"], BeforeValidator(lower)] = Field(
        default="text", description="Format of the log: text, or json for one JSON object in each line."
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(upper)] = Field(
        default="WARNING", description="Lowest level of messages logged to standard error."
    )
    strict_plugins: bool = Field(default=False, description="Exit if a plugin cannot be used, instead of skipping it.")
    plugins_allow: Names = Field(default=(), description="Load only these plugins, by entry point name. Empty: all.")
    plugins_block: Names = Field(default=(), description="Never load these plugins, by entry point name.")

    @field_validator("*", mode="before")
    @classmethod
    def _clean(cls, value: object, info: ValidationInfo) -> object:
        """Remove quotes and whitespace around a value, and reject placeholders."""
        if not isinstance(value, str):
            return value
        bare = unwrap(value)
        # A secret may contain any characters, so only a whole secret can be recognized as a placeholder.
        secrets = {"secret", "vault_key", "http_proxy_secret"}
        anywhere, secret = info.field_name not in secrets, info.field_name in {*secrets, "maas_api_key"}
        if problem := describe_placeholder(bare, secret=secret or "@" in bare, anywhere=anywhere):
            raise ValueError(problem)
        return bare

    @model_validator(mode="after")
    def _check_mode(self) -> Self:
        if self.mode not in self.policy.mode_names:
            raise ValueError(f"mode {self.mode} is unknown; expected one of: {', '.join(self.policy.mode_names)}")
        return self

    @property
    def selection(self) -> SiteSelection:
        """The tools that the site serves."""
        read_only = self.policy.mode(self.mode).reads_only
        return SiteSelection(self.mode, read_only, frozenset(self.toolsets), self.tools_allow, self.tools_block)

    def with_policy_of(self, other: Self) -> Self:
        """Return these settings with the policy of others."""
        return self.model_copy(update={name: getattr(other, name) for name in POLICY_SETTINGS})

    @classmethod
    def settings_customise_sources(  # noqa: D102 - pydantic-settings' own hook
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see _Environment
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a .env in the working directory is not trusted
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not offered
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Environment(settings_cls), _TextualToml(settings_cls, config_file())

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the settings. ``overrides`` win over the environment, and the environment over the TOML file.

        Raises:
            SettingsError: A setting is invalid. The message names the variable, key or argument and the allowed
                values. It never contains a secret.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            problems = [
                _describe_problem(detail["loc"], detail["type"], detail["msg"], overrides) for detail in error.errors()
            ]
        except tomllib.TOMLDecodeError as error:
            problems = [f"{config_file()} is not valid TOML: {error}"]
        except ValueError as error:
            problems = [f"{config_file()} cannot be read: {error}."]
        # Raised outside the except block: the caught error contains the API key.
        raise SettingsError("\n".join(problems))

    def require_region(self, api_key: ApiKey | None = None) -> RegionAccess:
        """Return the address, key and CA bundle of the region.

        Args:
            api_key: The key to use instead of ``MAAS_API_KEY``, which then need not be set.

        Raises:
            SettingsError: The address or the key is missing or invalid.
        """
        if self.maas_url is None or (self.maas_api_key is None and api_key is None):
            missing = [
                variable
                for variable, value in (("MAAS_URL", self.maas_url), ("MAAS_API_KEY", self.maas_api_key or api_key))
                if value is None
            ]
            raise SettingsError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
                hint=f"{_typo_hints(missing)}Set MAAS_URL to the URL of the region, such as"
                f" https://maas.example.com:5443/MAAS, and MAAS_API_KEY to an API key. {KEY_HINT} {_DEMO_HINT}",
            )
        region = self.anonymous_region()
        if api_key is None and self.maas_api_key is not None:
            api_key = ApiKey.parse(self.maas_api_key.get_secret_value())
        return replace(region, api_key=api_key)

    def anonymous_region(self) -> RegionAccess:
        """Return the address and CA bundle of the region, without a key.

        Raises:
            SettingsError: The address is missing or invalid.
        """
        if self.maas_url is None:
            raise SettingsError(
                "MAAS_URL is not set.",
                hint=f"{_typo_hints(['MAAS_URL'])}Set it to the URL of the region, such as"
                " https://maas.example.com:5443/MAAS.",
            )
        return RegionAccess(
            api_url=api_url(self.maas_url, allow_http=self.maas_allow_http), ca_bundle=self.maas_ca_bundle
        )


class _Environment(EnvSettingsSource):
    """The environment. A variable with only whitespace or quotes counts as not set."""

    def __call__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__call__().items() if unwrap(value)}


class _TextualToml(TomlConfigSettingsSource):
    """A TOML file, with or without a byte order mark. The settings of plugins are left out."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        found = tomllib.loads(read_text(file_path))
        found.pop(PLUGIN_TABLES, None)
        return found


def plugin_tables() -> dict[str, dict[str, Any]]:
    """Return the settings of plugins in the TOML file, by the plugin's name: ``[plugins.NAME]``. Load the others first.

    Raises:
        SettingsError: ``plugins`` is not a table of tables.
    """
    path = config_file()
    tables = {} if path is None else tomllib.loads(read_text(path)).get(PLUGIN_TABLES, {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise SettingsError(
            f"{PLUGIN_TABLES} in {path} is not a table of tables.",
            hint="Write the settings of a plugin below its own heading, such as [plugins.rescue].",
        )
    return tables


def variable_name(name: str) -> str:
    """Return the environment variable of the setting ``name``."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"MAAS_MCP_{name.upper()}"


def find_misnamed_variables() -> dict[str, str]:
    """Find likely typos: environment variables that are no settings, each with the unset variable it resembles."""
    given = {name.upper(): name for name, value in os.environ.items() if unwrap(value)}
    known = {CONFIG_VARIABLE, *map(variable_name, Settings.model_fields)}
    others = sorted(name for upper, name in given.items() if upper.startswith("MAAS") and upper not in known)
    return {name: meant for name in others if (meant := guess_variable(name, sorted(known - given.keys())))}


def config_file() -> Path | None:
    """Return the TOML file to read settings from, or ``None`` without one.

    Raises:
        SettingsError: ``MAAS_MCP_CONFIG`` does not name a readable file.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named is None:
        from platformdirs import user_config_path  # noqa: PLC0415 - 30 ms, and not needed if MAAS_MCP_CONFIG is set

        path = user_config_path("maas-mcp") / "config.toml"
        return path if path.is_file() else None
    named = unwrap(named)
    if not named:
        return None
    problem = describe_placeholder(named)
    if problem:
        raise SettingsError(f"{CONFIG_VARIABLE}: {problem}.", hint="Set it to the path of a TOML file, or unset it.")
    try:
        path = expand_user(named)
        problem = None if path.is_file() else f"names {path}, which is not a file"
    except ValueError as error:
        problem = f"names {named}, but {error}"
    except OSError as error:
        problem = f"names {named}, which cannot be read: {error.strerror}"
    if problem:
        raise SettingsError(f"{CONFIG_VARIABLE} {problem}.", hint="Correct the path, or unset the variable.")
    return path


def _describe_problem(loc: tuple[int | str, ...], kind: str, message: str, overrides: dict[str, Any]) -> str:
    message = message.removeprefix("Value error, ")
    if not loc:  # a problem of several settings, which the message names
        return f"{message[:1].upper()}{message[1:]}."
    key = str(loc[0])
    name = next((name for name in Settings.model_fields if key in {name, variable_name(name)}), None)
    if kind == "extra_forbidden" or name is None:
        nearest = get_close_matches(key, Settings.model_fields, n=1)
        known = f"did you mean {nearest[0]}?" if nearest else f"expected {', '.join(Settings.model_fields)}."
        return f"{_origin(key, None, overrides)} is not a setting; {known}"
    return f"{_origin(name, variable_name(name), overrides)}: {message[:1].lower()}{message[1:]}."


def _origin(key: str, variable: str | None, overrides: dict[str, Any]) -> str:
    if key in overrides:
        return f"The argument {key}"
    written = [name for name, value in os.environ.items() if variable and name.upper() == variable and unwrap(value)]
    return written[0] if written else f"{key} in {config_file()}"


def _typo_hints(missing: list[str]) -> str:
    meant = {name: variable for name, variable in find_misnamed_variables().items() if variable in missing}
    return "".join(f"{name} is not a setting: did you mean {variable}? " for name, variable in meant.items())
