"""Which changes of a machine MAAS allows to whom: its refusals (403) have an empty body and say nothing of it."""

from typing import Final

ADMIN_ONLY: Final = frozenset(
    {
        *("commission", "test", "rescue_mode", "exit_rescue_mode", "mark_fixed", "override_failed_testing"),
        *("restore_default_configuration", "restore_networking_configuration", "restore_storage_configuration"),
        *("set_storage_layout", "PUT", "DELETE"),
    }
)
"""Operations on a machine that only administrators may request, and the methods that edit and delete one.

Recorded with MAAS 3.7.3: a plain user gets a 403 even for a machine that is nobody's, or the user's own.
"""
OWNER_ONLY: Final = frozenset({"mark_broken"})
"""Operations that only the machine's owner may request, not even an administrator (MAAS 3.7.3, recorded)."""
ALLOWED_WHEN_LOCKED: Final = frozenset({"lock", "unlock"})
"""Operations that a lock does not forbid: MAAS answers them by the machine's state."""
