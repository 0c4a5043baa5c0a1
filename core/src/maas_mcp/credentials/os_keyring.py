"""API keys in the keyring of the operating system. Needs the optional package ``keyring``."""

import logging
from typing import Any, Final

from maas_mcp.errors import SettingsError

logger = logging.getLogger(__name__)

SERVICE: Final = "maas-mcp"
RECOMMENDED: Final = 1
"""The lowest priority of a safe backend. Those below it store passwords as plain text, or not at all."""


def store(account: str, key: str) -> bool:
    """Store a key. Returns whether there is a keyring, and it returns the key again."""
    try:
        import keyring  # noqa: PLC0415 - an extra, and not imported unless used
    except ModuleNotFoundError:
        return False
    try:
        if keyring.get_keyring().priority < RECOMMENDED:
            return False
        keyring.set_password(SERVICE, account, key)
        return bool(keyring.get_password(SERVICE, account) == key)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        logger.debug("The keyring cannot be used: %s", type(error).__name__)
        return False


def load(account: str) -> str:
    """Return a stored key.

    Raises:
        SettingsError: The keyring cannot be used, or does not have the key.
    """
    key, problem = _get(account)
    if key is None:
        raise SettingsError(
            f"The MAAS API key of {account} cannot be read from the keyring of the operating system: {problem}.",
            hint="Unlock the keyring, or log in again: `maas-mcp login`.",
        )
    return key


def remove(account: str) -> None:
    """Remove a key. A keyring that cannot be used, or does not have the key, is no error."""
    try:
        import keyring  # noqa: PLC0415 - as above

        keyring.delete_password(SERVICE, account)
    except Exception as error:  # noqa: BLE001 - as above
        logger.warning("The keyring still has the MAAS API key of %s: %s", account, type(error).__name__)


def _get(account: str) -> tuple[str | None, str]:
    try:
        import keyring  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        return None, "maas-mcp-core[keyring] is not installed"
    try:
        key: Any = keyring.get_password(SERVICE, account)
    except Exception as error:  # noqa: BLE001 - as above
        return None, f"the keyring failed ({type(error).__name__})"
    return key, "the keyring has no such key"
