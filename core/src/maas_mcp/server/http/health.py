"""The health endpoints: ``/healthz`` for the process, and ``/readyz`` for MAAS."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from maas_mcp.calls.change_stream import Observer
from maas_mcp.calls.connections import Connections
from maas_mcp.calls.host import Host
from maas_mcp.calls.principal import ANONYMOUS
from maas_mcp.errors import MaasMcpError
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.server.app import OpenHost
from maas_mcp.settings import Settings

logger = logging.getLogger(__name__)

READY_FOR: Final = 5.0
"""Seconds for which the result of a check is reused, so that frequent probes put no load on MAAS."""


class Health:
    """Serves ``/healthz`` and ``/readyz``.

    Args:
        open_host: Opens the host.
    """

    def __init__(self, open_host: OpenHost) -> None:
        self._open_host = open_host
        self._host: Host | None = None
        self._checked_at = float("-inf")
        self._problem: str | None = None
        self._checking = anyio.Lock()

    @property
    def routes(self) -> list[Route]:
        """The two routes."""
        return [Route("/healthz", self._healthz), Route("/readyz", self._readyz)]

    @asynccontextmanager
    async def open_host(
        self, settings: Settings, tools: Mapping[str, AnyTool], connections: Connections, observers: Sequence[Observer]
    ) -> AsyncIterator[Host]:
        """Open the host for the lifetime of the server. The checks use it."""
        async with self._open_host(settings, tools, connections, observers) as host:
            self._host = host
            try:
                yield host
            finally:
                self._host = None

    async def _healthz(self, _request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, _request: Request) -> JSONResponse:
        problem = await self._find_problem()
        if problem is None:
            return JSONResponse({"status": "ok"})
        # Anyone may read this response, so only the log names an address.
        return JSONResponse({"status": "unavailable", "problem": problem}, HTTPStatus.SERVICE_UNAVAILABLE)

    async def _find_problem(self) -> str | None:
        if self._host is None:
            return "The server is starting or stopping."
        async with self._checking:
            if anyio.current_time() >= self._checked_at + READY_FOR:
                try:
                    async with self._host.tenant(ANONYMOUS) as tenant:
                        await tenant.maas.once().get("version/")  # version() would return the one it knows
                    self._problem = None
                except MaasMcpError as error:
                    logger.warning("MAAS cannot be used: %s", error.message)
                    self._problem = "MAAS cannot be used."
                self._checked_at = anyio.current_time()
        return self._problem
