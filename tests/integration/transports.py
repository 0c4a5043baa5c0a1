"""Starts servers of either transport, for tests that run on both."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from maas_simulator import SimulatedRegion
from tests.integration.driver import MODERN, Driver, Message, serving_stdio
from tests.integration.http_driver import serving_http

Serve = Callable[..., AbstractContextManager[Driver]]


def starter(
    transport: str, region: SimulatedRegion, url: str, folder: Path, capabilities: Message, **variables: str
) -> Serve:
    """Return a function that starts a server and its client. All servers share a secret, as replicas do.

    Args:
        transport: ``stdio`` or ``http``.
        region: The region.
        url: The URL of the region.
        folder: A folder for the secret.
        capabilities: The capabilities that the client declares by default.
        variables: The environment of each server.
    """

    def start(
        capabilities: Message = capabilities, revision: str = MODERN, **options: Any
    ) -> AbstractContextManager[Driver]:
        options = {"MAAS_MCP_STATE_DIR": str(folder / "state"), "capabilities": capabilities, **variables, **options}
        run = serving_http if transport == "http" else serving_stdio
        return run(url, region.api_key, revision, **options)

    return start
