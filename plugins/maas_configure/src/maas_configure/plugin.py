"""The plugin's hook: its tools."""

from collections.abc import Sequence
from typing import Any

from maas_configure.adding import AddMachine
from maas_configure.deleting import DeleteMachine
from maas_configure.interface_changes import CreateInterface, DeleteInterface
from maas_configure.links import LinkSubnet, UnlinkSubnet
from maas_configure.power import SetPowerParameters
from maas_configure.storage import SetStorageLayout
from maas_configure.tagging import Tag
from maas_configure.updating import Update
from maas_mcp.api import Tool, hookimpl


@hookimpl
def maas_mcp_tools() -> Sequence[type[Tool[Any, Any]]]:
    """The short tools."""
    return [
        *(Update, Tag, AddMachine, DeleteMachine, SetPowerParameters),
        *(CreateInterface, DeleteInterface, LinkSubnet, UnlinkSubnet, SetStorageLayout),
    ]
