"""The settings of the MAAS region: its address, the API key and the certificates to trust."""

from pydantic import BaseModel, Field, SecretStr

from maas_mcp.setting_types import Names, UserPath


class RegionSettings(BaseModel, defer_build=True):
    """The MAAS region, and the API key for it."""

    maas_url: str | None = Field(
        default=None,
        validation_alias="MAAS_URL",
        repr=False,  # it may contain a password until require_region() has rejected it
        description="URL of the MAAS region, such as https://maas.example.com:5443/MAAS.",
    )
    maas_api_key: SecretStr | None = Field(
        default=None, validation_alias="MAAS_API_KEY", description="API key of a MAAS user: consumer:token:secret."
    )
    maas_api_key_file: UserPath = Field(
        default=None,
        validation_alias="MAAS_API_KEY_FILE",
        description="File with the API key, instead of MAAS_API_KEY. Only you may have access to it.",
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
    profiles: Names = Field(
        default=(),
        description="Names of logins of `maas-mcp login` or of profiles of the MAAS CLI, instead of MAAS_URL and an "
        "API key. Tools can use the regions of all of them. The first is the default.",
    )
