"""The plugin's hooks: its tools, operation, resource, completions, settings and state."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import BaseModel

from maas_inventory.completions import COMPLETIONS
from maas_inventory.events import GetEvents
from maas_inventory.images import ImportImages
from maas_inventory.lifespan import InventorySettings, open_informer
from maas_inventory.machines.changes import WhatChanged
from maas_inventory.machines.listing import ListMachines
from maas_inventory.machines.reading import GetMachine, MachineResource
from maas_inventory.objects.listing import ListObjects
from maas_inventory.script_results import GetScriptResults
from maas_inventory.search.tool import Find
from maas_inventory.whoami import WhoAmI
from maas_mcp.api import Completion, LifespanContext, LongRunning, Resource, Tool, hookimpl


@hookimpl
def maas_mcp_operations() -> Sequence[type[LongRunning[Any, Any]]]:
    """The long-running operations."""
    return [ImportImages]


@hookimpl
def maas_mcp_tools() -> Sequence[type[Tool[Any, Any]]]:
    """The short tools."""
    return [ListMachines, GetMachine, WhatChanged, Find, ListObjects, GetEvents, GetScriptResults, WhoAmI]


@hookimpl
def maas_mcp_resources() -> Sequence[type[Resource]]:
    """The resources."""
    return [MachineResource]


@hookimpl
def maas_mcp_completions() -> Sequence[type[Completion]]:
    """The completions."""
    return COMPLETIONS


@hookimpl
def maas_mcp_settings() -> type[BaseModel]:
    """The settings."""
    return InventorySettings


@hookimpl
def maas_mcp_lifespan() -> Callable[[LifespanContext], AbstractAsyncContextManager[Any]]:
    """The informer of each caller."""
    return open_informer
