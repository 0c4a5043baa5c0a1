"""The vault of the settings, for the commands that change it."""

from maas_mcp.access.vault import Vault
from maas_mcp.errors import SettingsError
from maas_mcp.settings import Settings


def required_vault(settings: Settings) -> Vault:
    """Return the vault.

    Raises:
        SettingsError: The settings name none, or its key is missing or invalid.
    """
    vault = Vault.from_settings(settings)
    if vault is None:
        raise SettingsError(
            "MAAS_MCP_VAULT is not set.", hint="Set it to the directory that holds the encrypted MAAS API keys."
        )
    return vault
