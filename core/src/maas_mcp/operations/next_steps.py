"""Next steps that the host itself suggests. A plugin's tool is named by what it offers, in MAAS's own words."""

from typing import Final

from maas_mcp.errors import NextStep
from maas_mcp.maas.models import SystemId

FIND_OPERATION: Final = NextStep("maas_list_operations", why="Find its operation_id")
"""For what is under way."""
LIST_MACHINES: Final = NextStep("machines read", why="List the machines")


def read_machine(system_id: SystemId, why: str) -> NextStep:
    """Read the machine."""
    return _on_machine("read", system_id, why)


def unlock(system_id: SystemId) -> NextStep:
    """Unlock a machine that was locked on purpose."""
    return _on_machine("unlock", system_id, "If it may be changed, unlock it")


def query_power_state(system_id: SystemId) -> NextStep:
    """Ask the machine's BMC."""
    return _on_machine("query-power-state", system_id, "Ask its BMC for its power state")


def mark_fixed(system_id: SystemId) -> NextStep:
    """Put a Broken machine back into use."""
    return _on_machine("mark-fixed", system_id, "Once it is repaired, mark it fixed")


def exit_rescue_mode(system_id: SystemId) -> NextStep:
    """End rescue mode."""
    return _on_machine("exit-rescue-mode", system_id, "Leave rescue mode first")


def override_failed_testing(system_id: SystemId) -> NextStep:
    """Put a machine back into use whose tests have failed."""
    return _on_machine("override-failed-testing", system_id, "Or overrule the tests, if they are known to be wrong")


def _on_machine(op: str, system_id: SystemId, why: str) -> NextStep:
    return NextStep(f"machine {op}", {"system_id": system_id}, why=why)
