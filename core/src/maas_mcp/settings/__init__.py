"""The settings, read from arguments, the environment and a TOML file in that order, before plugins are imported."""

from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import KEY_HINT, ApiKey, RegionAccess, api_url
from maas_mcp.setting_types import Names, lower, upper
from maas_mcp.setting_values import describe_placeholder, unwrap
from maas_mcp.settings.access import AccessSettings
from maas_mcp.settings.http import HttpSettings
from maas_mcp.settings.operations import OperationSettings
from maas_mcp.settings.policy import PolicySettings
from maas_mcp.settings.problems import describe_problem, misnamed_variables, origin, variable_of
from maas_mcp.settings.region import RegionSettings
from maas_mcp.settings.sources import (
    CONFIG_VARIABLE,
    PLUGIN_TABLES,
    Environment,
    TextualToml,
    config_file,
    plugin_tables,
)

__all__ = [
    "CONFIG_VARIABLE",
    "PLUGIN_TABLES",
    "Settings",
    "config_file",
    "find_misnamed_variables",
    "plugin_tables",
    "setting_origin",
    "variable_name",
]

_DEMO_HINT: Final = "`maas-mcp demo` uses a simulated region and needs neither."


class Settings(HttpSettings, AccessSettings, PolicySettings, OperationSettings, RegionSettings, BaseSettings):
    """The configuration of maas-mcp. Use :meth:`load`, whose errors explain how to fix a setting."""

    model_config = SettingsConfigDict(
        defer_build=False,
        env_prefix="MAAS_MCP_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
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

    @classmethod
    def settings_customise_sources(  # noqa: D102 - pydantic-settings' own hook
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see Environment
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a .env in the working directory is not trusted
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not offered
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, Environment(settings_cls), TextualToml(settings_cls, config_file())

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
            problems = [describe_problem(detail, cls.model_fields, overrides) for detail in error.errors()]
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


def variable_name(name: str) -> str:
    """Return the environment variable of the setting ``name``."""
    return variable_of(name, Settings.model_fields[name])


def setting_origin(name: str) -> str:
    """Describe where the setting ``name`` was written: in a variable of the environment, or in the file."""
    return origin(name, variable_name(name))


def find_misnamed_variables() -> dict[str, str]:
    """Find likely typos: environment variables that are no settings, each with the unset variable it resembles."""
    return misnamed_variables(Settings.model_fields)


def _typo_hints(missing: list[str]) -> str:
    meant = {name: variable for name, variable in find_misnamed_variables().items() if variable in missing}
    return "".join(f"{name} is not a setting: did you mean {variable}? " for name, variable in meant.items())
