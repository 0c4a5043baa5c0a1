"""The handlers of requests by method. Most are imported at the first request that needs them.

A client that starts the server waits for its list of tools. Importing everything else as well would delay that list.
"""

from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, NoReturn

import mcp_types as types
from mcp.server import InitializationOptions, NotificationOptions, Server
from mcp.server.lowlevel.server import HandlerEntry

from maas_mcp.calls.host import Host
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog

MODULES: Final = MappingProxyType(
    {
        "completion/complete": "maas_mcp.server.completions",
        "prompts/get": "maas_mcp.server.prompts",
        "prompts/list": "maas_mcp.server.prompts",
        "resources/directory/read": "maas_mcp.server.skills",
        "resources/list": "maas_mcp.server.resources",
        "resources/read": "maas_mcp.server.resources",
        "resources/subscribe": "maas_mcp.server.resources",
        "resources/templates/list": "maas_mcp.server.resources",
        "resources/unsubscribe": "maas_mcp.server.resources",
        "skills/get": "maas_mcp.server.skills",
        "skills/list": "maas_mcp.server.skills",
        "subscriptions/listen": "maas_mcp.server.task_notifications",
        "tasks/cancel": "maas_mcp.server.tasks",
        "tasks/get": "maas_mcp.server.tasks",
        "tasks/update": "maas_mcp.server.tasks",
        "tools/call": "maas_mcp.server.calling",
    }
)
"""The module whose ``add_handlers(server, served, log)`` adds the handler of each method, and of its others."""


class LazyServer(Server[Host]):
    """Imports handlers when they are first needed, and announces changes of lists to clients before 2026-07-28 too."""

    def import_later(self, served: Catalogue, log: ClientLog) -> None:
        """Serve the methods in :data:`MODULES`. The capabilities are announced from now on.

        Args:
            served: What the server serves.
            log: Sends log messages to clients.
        """
        self._served = served
        self._log = log
        for method in MODULES:
            self.add_request_handler(method, types.RequestParams, _not_imported)

    def get_request_handler(self, method: str) -> HandlerEntry[Host] | None:
        """The handler of a method, which the SDK looks up at each request."""
        entry = super().get_request_handler(method)
        if entry is None or entry.handler is not _not_imported:
            return entry
        import_module(MODULES[method]).add_handlers(self, self._served, self._log)
        return super().get_request_handler(method)

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """The options of a connection, which announce changes of each list unless the caller decides otherwise."""
        every = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        return super().create_initialization_options(
            notification_options or every, experimental_capabilities, extensions
        )


async def _not_imported(_ctx: object, _params: object) -> NoReturn:
    raise NotImplementedError("the module of this handler has not replaced it")
