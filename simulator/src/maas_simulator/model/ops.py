"""The names of MAAS's operations, for faults and holds."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

_NAMES = """
    abort accept accept_all add_chassis add_tag allocate by_unknown_ip by_unknown_ip_and_mac by_unknown_mac clear
    clear_by_mac_and_ip clear_default_gateways clone commission compose connect_macs create_authorisation_token
    create_bond create_bridge create_logical_volume create_physical create_vlan delete_authorisation_token
    delete_logical_volume deploy describe_power_types details devices disconnect disconnect_macs dismiss download
    exit_rescue_mode format get get_by_key get_config get_curtin_config get_token import import_boot_images
    ip_addresses is_importing is_registered link_subnet list_allocated list_authorisation_tokens list_boot_images
    list_connected_macs lock machines mark_broken mark_fixed mount mount_special nodes override_failed_testing
    parameters power_off power_on power_parameters query query_power_state rack_controllers rebuild refresh
    region_controllers release remove_tag rescue_mode reserve reserved_ip_ranges restore_default_configuration
    restore_networking_configuration restore_storage_configuration revert scan set_boot_disk set_config
    set_default set_default_gateway set_owner_data set_serial set_storage_layout set_workload_annotations set_zone
    statistics stop_import test unformat unlink_subnet unlock unmount unmount_special unreserved_ip_ranges
    update_nodes update_token_name whoami
"""
OPS: Final = frozenset(_NAMES.split())
"""The ``op`` of every endpoint, including those that are not simulated. The list repeats the endpoints' own names,
because this module may not import them; a test compares the two."""
READS: Final = frozenset({"events", "machines"})
"""The names of read requests, for holds."""
CLOSE: Final = 3
"""How many names a message suggests."""


def check_op(op: str, extra: Collection[str] = ()) -> str:
    """Return the name if it is an operation or in ``extra``; else raise ``ValueError`` with the closest names."""
    known = OPS.union(extra)
    if op not in known:
        close = ", ".join(get_close_matches(op, sorted(known), CLOSE, cutoff=0))
        raise ValueError(f"MAAS has no operation {op!r}; the closest names are: {close}")
    return op
