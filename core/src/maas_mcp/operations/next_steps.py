"""Next steps that the host suggests. They name a plugin's tool by its ``offers``, in MAAS's own words."""

from typing import Final

from maas_mcp.maas.models import SystemId
from maas_mcp.next_step import NextStep

FIND_OPERATION: Final = NextStep("maas_list_operations", why="Find its operation_id")
"""For a running operation."""
ABORT_OPERATION: Final = NextStep("maas_cancel_operation", {"abort": True}, why="Release the machines")
"""For an operation that has left machines allocated. The host adds its ``operation_id``."""
LIST_MACHINES: Final = NextStep("machines read", why="List the machines")


def read_machine(system_id: SystemId, why: str) -> NextStep:
    """Suggest reading the machine."""
    return _on_machine("read", system_id, why)


def unlock(system_id: SystemId) -> NextStep:
    """Suggest unlocking the machine. A user locked it on purpose."""
    return _on_machine("unlock", system_id, "If the user allows it, unlock it")


def query_power_state(system_id: SystemId) -> NextStep:
    """Suggest querying the machine's BMC."""
    return _on_machine("query-power-state", system_id, "Query its BMC for the power state")


def mark_fixed(system_id: SystemId) -> NextStep:
    """Suggest marking a Broken machine fixed."""
    return _on_machine("mark-fixed", system_id, "When it is repaired, mark it fixed")


def exit_rescue_mode(system_id: SystemId) -> NextStep:
    """Suggest exiting rescue mode."""
    return _on_machine("exit-rescue-mode", system_id, "Exit rescue mode first")


def override_failed_testing(system_id: SystemId) -> NextStep:
    """Suggest overriding a machine's failed tests."""
    return _on_machine("override-failed-testing", system_id, "Or override the tests, if they are known to be wrong")


def _on_machine(op: str, system_id: SystemId, why: str) -> NextStep:
    return NextStep(f"machine {op}", {"system_id": system_id}, why=why)
