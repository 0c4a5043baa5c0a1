"""The audit log that the settings name: a file, or none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from maas_mcp.audit.file import AuditFile
from maas_mcp.secret import state_directory
from maas_mcp.settings import Settings

DEFAULT_NAME: Final = "audit.jsonl"
"""The name of the file in the state directory."""


class AuditLog(Protocol):
    """Stores the lines of the audit."""

    async def write(self, fields: Mapping[str, Any], /) -> None:
        """Append a line, even if the caller is cancelled.

        Raises:
            AuditUnavailableError: It cannot be written.
        """
        ...


def open_audit(settings: Settings) -> AuditLog | None:
    """Return the audit log of the settings; ``None`` if it is off."""
    path = audit_path(settings)
    return None if path is None else AuditFile(path, fsync=settings.audit_fsync)


def audit_path(settings: Settings) -> Path | None:
    """Return the path of the audit file; ``None`` if calls are not recorded."""
    if settings.audit == "off":
        return None
    return settings.audit or state_directory(settings) / DEFAULT_NAME
