"""The settings: from arguments, the environment and a TOML file, in that order, checked before anything is imported."""

import os
import tomllib
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
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import KEY_HINT, ApiKey, RegionAccess, api_url
from maas_mcp.setting_values import listed, meant_by, placeholder, unwrapped
from maas_mcp.text_files import read_text

CONFIG_VARIABLE: Final = "MAAS_MCP_CONFIG"
"""The environment variable that names the TOML file; set but empty, no file is read."""
_DEMO_HINT: Final = "`maas-mcp demo` runs with a simulated region and needs neither."
SHORTEST_SECRET: Final = 16
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth")


def _listed(value: object) -> object:
    return listed(value) if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _secrets(value: object) -> object:
    """The secrets in a text, with blanks between them; words that are all short are one passphrase."""
    if isinstance(value, list):
        return [unwrapped(each) if isinstance(each, str) else each for each in value]
    if not isinstance(value, str):
        return value
    words = [word for each in value.split() if (word := unwrapped(each))]
    return words if any(len(word) >= SHORTEST_SECRET for word in words) else [value]


def _hard_to_guess(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, secret in enumerate(secrets):
        if problem := _weakness(secret.get_secret_value()):
            which = f"the {_ORDINALS[number]} secret" if number < len(_ORDINALS) else f"secret number {number + 1}"
            raise ValueError(f"{which if len(secrets) > 1 else 'the secret'} is {problem}")
    return secrets


def _weakness(secret: str) -> str | None:
    if filled_in := placeholder(secret, secret=True, anywhere=False):
        return f"a placeholder: {filled_in}"
    if len(secret) < SHORTEST_SECRET:
        return f"too short: expected at least {SHORTEST_SECRET} characters, because a shorter one could be guessed"
    return None if is_text(secret) else "not UTF-8 text"


def is_text(value: str) -> bool:
    """Whether a word of the environment or the command line is UTF-8: Python lets other bytes through as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def expanded(path: str) -> Path:
    """The path, with ``~`` or ``~user`` at its beginning as that home directory.

    Raises:
        ValueError: There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        user = Path(path).parts[0].removeprefix("~")
    raise ValueError(f"there is no user {user} here" if user else "it is not known where your home directory is")


def _expanded(value: object) -> object:
    return expanded(value) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
"""Names; in the environment, separated by commas."""


class Settings(BaseSettings):
    """What maas-mcp can be told. Load it with :meth:`load`, whose errors say what to mend."""

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
        repr=False,  # it may hold a password until require_region() has refused it
        description="Address of the MAAS region, such as https://maas.example.com:5443/MAAS.",
    )
    maas_api_key: SecretStr | None = Field(
        default=None, validation_alias="MAAS_API_KEY", description="API key of a MAAS user: consumer:token:secret."
    )
    maas_ca_bundle: Annotated[Path | None, BeforeValidator(_expanded)] = Field(
        default=None,
        validation_alias="MAAS_CA_BUNDLE",
        description="PEM file with the certificates to trust instead of the system's, for a region with a private CA.",
    )
    maas_allow_http: bool = Field(
        default=False,
        validation_alias="MAAS_ALLOW_HTTP",
        description="Allow http:// to a region on another host. The API key then crosses the network readable.",
    )
    poll_interval: float = Field(
        default=2.0, ge=0.05, le=60, description="Seconds between two looks at what is being followed."
    )
    polling: str = Field(
        default="",
        description="Name of the polling strategy for every operation, such as status, which does without events; "
        "empty: the operation's own.",
    )
    secret: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets), AfterValidator(_hard_to_guess)] = (
        Field(
            default=(),
            description="Seals operation ids, 16 characters or more; servers that share it answer for each other's "
            "operations. Of several secrets, the first seals ids and all of them open ids. If none is given, one is "
            "made and kept in the state directory.",
        )
    )
    state_dir: Annotated[Path | None, BeforeValidator(_expanded)] = Field(
        default=None, description="Directory for the secret, if none is given. By default the user's state directory."
    )
    outage_limit: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        description="Seconds that the region may be unreachable before following an operation is given up.",
    )
    http_tokens: Annotated[Path | None, BeforeValidator(_expanded)] = Field(
        default=None,
        description="File with the tokens of HTTP clients, made by `maas-mcp token new`. Without it, a client needs no "
        "token, and only loopback addresses are served.",
    )
    http_keys: Annotated[Path | None, BeforeValidator(_expanded)] = Field(
        default=None,
        description='TOML file with the MAAS API key of each name that has a token: "NAME" = "consumer:token:secret".',
    )
    http_tls_cert: Annotated[Path | None, BeforeValidator(_expanded)] = Field(
        default=None, description="PEM file with the certificate chain for HTTPS."
    )
    http_tls_key: Annotated[Path | None, BeforeValidator(_expanded)] = Field(
        default=None, description="PEM file with the private key for HTTPS."
    )
    http_tls_by_proxy: bool = Field(
        default=False, description="A proxy in front of this server does TLS: serve plain HTTP on any address."
    )
    http_hosts: Names = Field(
        default=(),
        description="Values of the HTTP header Host to accept as well, such as maas-mcp.example.com, for a server "
        "behind a proxy. Loopback names are always accepted.",
    )
    http_origins: Names = Field(
        default=(),
        description="Values of the HTTP header Origin to accept, such as https://app.example.com; none: no "
        "web page may call this server.",
    )
    http_body_limit: int = Field(
        default=4_194_304, ge=1024, le=1_073_741_824, description="Bytes that the body of an HTTP request may have."
    )
    http_rate: float = Field(
        default=20.0, gt=0, le=10_000, description="HTTP requests a second that one principal may send in the long run."
    )
    http_requests: int = Field(
        default=100, ge=1, le=100_000, description="HTTP requests of one principal that may run at the same time."
    )
    http_principal_sessions: int = Field(
        default=100, ge=1, le=100_000, description="Sessions that one principal may have open over HTTP."
    )
    http_sessions: int = Field(
        default=1000, ge=1, le=100_000, description="Sessions of clients before 2026-07-28 that may be open over HTTP."
    )
    http_session_idle: float = Field(
        default=1800.0, ge=10, le=86_400, description="Seconds without a request after which an HTTP session is closed."
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)] = Field(
        default="WARNING", description="The lowest level that is logged, to standard error."
    )
    strict_plugins: bool = Field(default=False, description="Stop when a plugin cannot be used, instead of going on.")
    plugins_allow: Names = Field(default=(), description="The only plugins to load, by entry point name; none: all.")
    plugins_block: Names = Field(default=(), description="Plugins never to load, by entry point name.")

    @field_validator("*", mode="before")
    @classmethod
    def _filled_in(cls, value: object, info: ValidationInfo) -> object:
        """A value without what was left around it; one that nothing filled in is refused."""
        if not isinstance(value, str):
            return value
        bare = unwrapped(value)
        # A secret may be made of any characters: only as a whole it can be told from a placeholder.
        anywhere, secret = info.field_name != "secret", info.field_name in {"secret", "maas_api_key"}
        if problem := placeholder(bare, secret=secret or "@" in bare, anywhere=anywhere):
            raise ValueError(problem)
        return bare

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
        """Read the settings: ``overrides`` before the environment before the TOML file.

        Raises:
            SettingsError: Something cannot be used. It names the variable, key or argument and what is allowed, and
                never shows the value of a secret.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            problems = [_problem(detail["loc"], detail["type"], detail["msg"], overrides) for detail in error.errors()]
        except tomllib.TOMLDecodeError as error:
            problems = [f"{config_file()} is not valid TOML: {error}"]
        except ValueError as error:
            problems = [f"{config_file()} cannot be read: {error}."]
        # Raised here and not above: the error that was caught holds what was read, the API key among it.
        raise SettingsError("\n".join(problems))

    def require_region(self) -> RegionAccess:
        """What is needed to speak to the region.

        Raises:
            SettingsError: The address or the key is missing or cannot be used.
        """
        if self.maas_url is None or self.maas_api_key is None:
            missing = [
                variable
                for variable, value in (("MAAS_URL", self.maas_url), ("MAAS_API_KEY", self.maas_api_key))
                if value is None
            ]
            raise SettingsError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
                hint=f"{_remarks(missing)}Set MAAS_URL to the address of the region, such as"
                f" https://maas.example.com:5443/MAAS, and MAAS_API_KEY to a key. {KEY_HINT} {_DEMO_HINT}",
            )
        return RegionAccess(
            api_url=api_url(self.maas_url, allow_http=self.maas_allow_http),
            api_key=ApiKey.parse(self.maas_api_key.get_secret_value()),
            ca_bundle=self.maas_ca_bundle,
        )


class _Environment(EnvSettingsSource):
    """The environment; a variable that holds nothing but blanks or quotes counts as not set."""

    def __call__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__call__().items() if unwrapped(value)}


class _TextualToml(TomlConfigSettingsSource):
    """A TOML file, which an editor may have begun with a byte order mark."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        return tomllib.loads(read_text(file_path))


def variable_name(name: str) -> str:
    """The environment variable of the field called ``name``."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"MAAS_MCP_{name.upper()}"


def misnamed_variables() -> dict[str, str]:
    """Variables of the environment that are no settings, each with the setting, not set, that was probably meant."""
    given = {name.upper(): name for name, value in os.environ.items() if unwrapped(value)}
    known = {CONFIG_VARIABLE, *map(variable_name, Settings.model_fields)}
    others = sorted(name for upper, name in given.items() if upper.startswith("MAAS") and upper not in known)
    return {name: meant for name in others if (meant := meant_by(name, sorted(known - given.keys())))}


def config_file() -> Path | None:
    """The TOML file that settings are read from, if there is one.

    Raises:
        SettingsError: ``MAAS_MCP_CONFIG`` names no file.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named is None:
        from platformdirs import user_config_path  # noqa: PLC0415 - 30 ms, and not needed where the file is named

        path = user_config_path("maas-mcp") / "config.toml"
        return path if path.is_file() else None
    named = unwrapped(named)
    if not named:
        return None
    problem = placeholder(named)
    if problem:
        raise SettingsError(f"{CONFIG_VARIABLE}: {problem}.", hint="Or unset the variable.")
    try:
        path = expanded(named)
        problem = None if path.is_file() else f"names {path}, which is not a file"
    except ValueError as error:
        problem = f"names {named}, but {error}"
    except OSError as error:
        problem = f"names {named}, which cannot be read: {error.strerror}"
    if problem:
        raise SettingsError(f"{CONFIG_VARIABLE} {problem}.", hint="Correct the path, or unset the variable.")
    return path


def _problem(loc: tuple[int | str, ...], kind: str, message: str, overrides: dict[str, Any]) -> str:
    key = str(loc[0]) if loc else ""
    name = next((name for name in Settings.model_fields if key in {name, variable_name(name)}), None)
    if kind == "extra_forbidden" or name is None:
        nearest = get_close_matches(key, Settings.model_fields, n=1)
        known = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(Settings.model_fields)}."
        return f"{_origin(key, None, overrides)} is not a setting; {known}"
    message = message.removeprefix("Value error, ")
    return f"{_origin(name, variable_name(name), overrides)}: {message[:1].lower()}{message[1:]}."


def _origin(key: str, variable: str | None, overrides: dict[str, Any]) -> str:
    if key in overrides:
        return f"The argument {key}"
    written = [name for name, value in os.environ.items() if variable and name.upper() == variable and unwrapped(value)]
    return written[0] if written else f"{key} in {config_file()}"


def _remarks(missing: list[str]) -> str:
    meant = {name: variable for name, variable in misnamed_variables().items() if variable in missing}
    return "".join(f"{name} is not a setting: did you mean {variable}? " for name, variable in meant.items())
