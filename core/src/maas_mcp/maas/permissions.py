"""The permissions that MAAS requires for changes of a machine. Its refusals (403) have an empty body."""

from typing import Final

ADMIN_ONLY: Final = frozenset(
    {
        *("commission", "test", "rescue_mode", "exit_rescue_mode", "mark_fixed", "override_failed_testing"),
        *("restore_default_configuration", "restore_networking_configuration", "restore_storage_configuration"),
        *("create_bond", "create_bridge", "create_vlan", "link_subnet", "unlink_subnet", "update_nodes"),
        *("set_storage_layout", "PUT", "DELETE"),
    }
)
"""Operations on a machine, its interfaces and its tags, and the methods to edit and delete it, that need a MAAS
administrator.

Recorded with MAAS 3.7.3: other users get a 403 even for their own machines and for machines without an owner.
"""
OWNER_ONLY: Final = frozenset({"mark_broken"})
"""Operations that only the machine's owner may request. Administrators get a 403 as well (MAAS 3.7.3, recorded)."""
ALLOWED_WHEN_LOCKED: Final = frozenset({"lock", "unlock"})
"""Operations that MAAS allows on a locked machine."""
