"""The plugin's hooks: its tools, operations and skills."""

from collections.abc import Sequence
from typing import Any

from maas_commission.broken import MarkBroken, MarkFixed
from maas_commission.commission import Commission
from maas_commission.rescue import EnterRescueMode, ExitRescueMode
from maas_commission.testing import OverrideFailedTesting, RunTests
from maas_mcp.api import Operation, Tool, hookimpl


@hookimpl
def maas_mcp_operations() -> Sequence[type[Operation[Any, Any]]]:
    """The long-running operations."""
    return [Commission, EnterRescueMode, ExitRescueMode, RunTests]


@hookimpl
def maas_mcp_tools() -> Sequence[type[Tool[Any, Any]]]:
    """The short tools."""
    return [MarkBroken, MarkFixed, OverrideFailedTesting]


@hookimpl
def maas_mcp_skills() -> Sequence[str]:
    """The package with the runbooks."""
    return ["maas_commission"]
