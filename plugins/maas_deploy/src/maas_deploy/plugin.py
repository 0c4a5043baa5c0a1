"""The plugin's hooks: its tools, operations and skills."""

from collections.abc import Sequence
from typing import Any

from maas_deploy.abort import Abort
from maas_deploy.allocate import Allocate
from maas_deploy.deploy import Deploy
from maas_deploy.deploy_machines import DeployMany
from maas_deploy.lock import Lock, Unlock
from maas_deploy.power import PowerCycle, PowerOff, PowerOn, QueryPowerState
from maas_deploy.release import Release
from maas_mcp.api import LongRunning, Tool, hookimpl


@hookimpl
def maas_mcp_operations() -> Sequence[type[LongRunning[Any, Any]]]:
    """The long-running operations."""
    return [Deploy, DeployMany, Release]


@hookimpl
def maas_mcp_tools() -> Sequence[type[Tool[Any, Any]]]:
    """The short tools."""
    return [Abort, Allocate, Lock, PowerCycle, PowerOff, PowerOn, QueryPowerState, Unlock]


@hookimpl
def maas_mcp_skills() -> Sequence[str]:
    """The package with the runbooks."""
    return ["maas_deploy"]
