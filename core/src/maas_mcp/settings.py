"""The settings: from arguments, the environment and a TOML file, in that order, checked before anything is imported."""

import os
import re
import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from maas_mcp.errors import SettingsError

CONFIG_VARIABLE: Final = "MAAS_MCP_CONFIG"
"""The environment variable that names the TOML file; set but empty, no file is read."""
KEY_HINT: Final = (
    "Get a key with `sudo maas apikey --username NAME` on the region, or from the preferences page of your user in the"
    " MAAS UI (API keys)."
)
_DEMO_HINT: Final = "`maas-mcp demo` runs with a simulated region and needs neither."
_API_PATH: Final = "api/2.0/"
SHORTEST_SECRET: Final = 16


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A MAAS API key, ``consumer:token:secret``; its repr shows none of it."""

    consumer: str = field(repr=False)
    token: str = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a key apart.

        Raises:
            SettingsError: It is not three parts of printable ASCII; the message never holds any of it.
        """
        parts = text.strip().split(":")
        if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - consumer, token and secret
            given = f"{sum(map(bool, parts))} non-empty part(s) of {len(parts)}"
            raise SettingsError(
                f"MAAS_API_KEY is not a MAAS API key: expected consumer:token:secret, got {given}.", hint=KEY_HINT
            )
        if not re.fullmatch(r"[\x21-\x7e]+", text.strip()):
            raise SettingsError(
                "MAAS_API_KEY is not a MAAS API key: it holds a space or a character outside ASCII.", hint=KEY_HINT
            )
        return cls(*parts)


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """What is needed to speak to a region, checked."""

    api_url: str
    """Such as ``https://maas.example.com:5443/MAAS/api/2.0/``, always with the last slash."""
    api_key: ApiKey
    ca_bundle: Path | None = None


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(item for part in value.split(",") if (item := part.strip()))


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _hard_to_guess(value: SecretStr | None) -> SecretStr | None:
    if value is None:
        return None
    if len(value.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"expected at least {SHORTEST_SECRET} characters: a shorter secret could be guessed")
    if not is_text(value.get_secret_value()):
        raise ValueError("it is not UTF-8 text")
    return value


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
    secret: Annotated[SecretStr | None, AfterValidator(_hard_to_guess)] = Field(
        default=None,
        description="Seals operation ids, 16 characters or more; servers that share it answer for each other's "
        "operations. If it is not given, one is made and kept in the state directory.",
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
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)] = Field(
        default="WARNING", description="The lowest level that is logged, to standard error."
    )
    strict_plugins: bool = Field(default=False, description="Stop when a plugin cannot be used, instead of going on.")
    plugins_allow: Names = Field(default=(), description="The only plugins to load, by entry point name; none: all.")
    plugins_block: Names = Field(default=(), description="Plugins never to load, by entry point name.")

    @classmethod
    def settings_customise_sources(  # noqa: D102 - pydantic-settings' own hook
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a .env in the working directory is not trusted
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not offered
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())

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
        except (OSError, UnicodeDecodeError) as error:
            problems = [f"{config_file()} cannot be read: {_reason(error)}"]
        # Raised here and not above: the error that was caught holds what was read, the API key among it.
        raise SettingsError("\n".join(problems))

    def require_region(self) -> RegionSettings:
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
                hint=f"Set MAAS_URL to the address of the region, such as https://maas.example.com:5443/MAAS, and"
                f" MAAS_API_KEY to a key. {KEY_HINT} {_DEMO_HINT}",
            )
        return RegionSettings(
            api_url=api_url(self.maas_url, allow_http=self.maas_allow_http),
            api_key=ApiKey.parse(self.maas_api_key.get_secret_value()),
            ca_bundle=self.maas_ca_bundle,
        )


def variable_name(name: str) -> str:
    """The environment variable of the field called ``name``."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"MAAS_MCP_{name.upper()}"


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
    if not named:
        return None
    try:
        path = expanded(named)
        problem = None if path.is_file() else f"names {path}, which is not a file"
    except ValueError as error:
        problem = f"names {named}, but {error}"
    if problem:
        raise SettingsError(f"{CONFIG_VARIABLE} {problem}.", hint="Correct the path, or unset the variable.")
    return path


def api_url(text: str, *, allow_http: bool = False) -> str:
    """The address of API 2.0 of the region at ``text``, which may point at MAAS, its UI, its API or the bare host.

    MAAS with TLS on still answers ``http://…/MAAS/api/2.0/machines`` without a redirect (MAAS 3.7), so that an ``http``
    address would send the API key readable and nobody would notice: it takes a loopback host or ``allow_http``.

    Raises:
        SettingsError: It is no such address; the message never holds a password.
    """
    parts, port = _split(text.strip())
    host = parts.hostname or ""
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        raise SettingsError(
            f"MAAS_URL uses http:// for {host}: the API key would cross the network readable.",
            hint="Use https:// (MAAS: `sudo maas config-tls enable`), or set MAAS_ALLOW_HTTP=true if that network is"
            " trusted.",
        )
    shown = f"[{host}]" if ":" in host else host
    root = f"{parts.scheme}://{shown}" + ("" if port is None else f":{port}")
    segments = [segment for segment in parts.path.split("/") if segment]
    return "/".join([root, *_above_the_region(segments), "MAAS", _API_PATH])


def _above_the_region(segments: list[str]) -> list[str]:
    if "MAAS" in segments:
        return segments[: segments.index("MAAS")]
    whole = f"/{'/'.join(segments)}/"  # MAAS serves its API below /MAAS only: who left that out means the same place
    return [segment for segment in whole.partition(f"/{_API_PATH}")[0].split("/") if segment]


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine: ``localhost``, 127.0.0.0/8 or ::1."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(text: str) -> tuple[SplitResult, int | None]:
    problem = "it is not a URL"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    else:
        problem = _url_problem(text, parts)
    if problem:
        raise SettingsError(
            f"MAAS_URL cannot be used: {problem}.",
            hint="It is the address of the region, such as https://maas.example.com:5443/MAAS or"
            " http://localhost:5240/MAAS.",
        )
    return parts, port


def _url_problem(text: str, parts: SplitResult) -> str:
    checks = (
        (
            "\\" in text or not re.fullmatch(r"[\x21-\x7e]+", text),
            "it is empty, or holds a space, a backslash or a character outside ASCII",
        ),
        ("@" in parts.netloc, "it holds a user name or password; credentials belong into MAAS_API_KEY"),
        (parts.scheme not in {"http", "https"}, "it does not start with https:// or http://"),
        (not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", parts.hostname or ""), "it names no host"),
        ("?" in text or "#" in text, "it holds a query or a fragment"),
        ("%" in parts.path or {".", ".."} & set(parts.path.split("/")), "its path holds a dot segment or a % sign"),
    )
    return next((problem for wrong, problem in checks if wrong), "")


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
    written = [each for each, value in os.environ.items() if variable and each.upper() == variable and value]
    return written[0] if written else f"{key} in {config_file()}"


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "unknown reason" if isinstance(error, OSError) else "it is not UTF-8"
