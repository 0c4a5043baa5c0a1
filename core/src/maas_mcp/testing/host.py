"""The host without MCP: it runs tools and operations on a simulated region in the same process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, cast

from pydantic import SecretStr

from maas_mcp.calls import host as calls
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.tenant import Tenant
from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.maas.request_slots import RequestSlots
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, Tool
from maas_mcp.operations.progress import Progress
from maas_mcp.plugins.registry import AnyTool, load_registry
from maas_mcp.settings import Settings
from maas_mcp.testing.wire import InProcessWire
from maas_simulator import SimulatedRegion, create_app

SECRET = "seals the ids of no real operation"  # noqa: S105 - which is why it may be known
ADDRESS = "http://127.0.0.1:5240/MAAS"
"""Where a region in the same process would be."""


def settings_for(region: SimulatedRegion, username: str) -> Settings:
    """Settings that name the region and nothing else: not what the environment or a file of this machine says."""
    return Settings.model_construct(
        maas_url=ADDRESS,
        maas_api_key=SecretStr(region.api_key_of(username)),
        secret=(SecretStr(SECRET),),
    )


def connector(region: SimulatedRegion) -> Callable[[RegionAccess, RequestSlots | None], MaasClient]:
    """Makes clients of the region: everything but the socket is real."""
    app = create_app(region)

    def connect(access: RegionAccess, slots: RequestSlots | None = None) -> MaasClient:
        return MaasClient(HttpTransport(access, slots=slots, wire=InProcessWire(app)))

    return connect


class Host:
    """Runs tools and operations on a region as the server does, and notes what they tell."""

    def __init__(
        self, region: SimulatedRegion, host: calls.Host, tenant: Tenant, settings: Settings, now: Callable[[], float]
    ) -> None:
        self.region = region
        self.host = host
        """The host without its clients."""
        self.tenant = tenant
        """The user whose key is used."""
        self.settings = settings
        self.now = now
        self.progress: list[Progress] = []
        self._connection = host.connections.connect()

    async def call(
        self,
        tool: type[Tool[ArgsT, ResultT]] | type[LongRunning[ArgsT, ResultT]],
        machine: str = "",
        /,
        *,
        on_cancel: CancelPolicy | None = None,
        **arguments: Any,
    ) -> ResultT:
        """Call a tool, or start an operation and follow it to its end.

        Args:
            tool: The class.
            machine: A hostname or a system id, for the argument ``system_id``.
            on_cancel: What cancelling does to the operation, instead of its own policy.
            arguments: As a client gives them.

        Raises:
            MaasMcpError: The arguments do not fit, it failed, or its result is not what the class declares.
            RuntimeError: The operation was under way before, and so it was not started.
        """
        given = {"system_id": self.region.machine(machine).system_id, **arguments} if machine else arguments
        if on_cancel is not None:
            given["on_cancel"] = str(on_cancel)
        called: AnyTool = tool()
        self.host.serve({**_installed(), called.name: called})
        self._connection, self.progress = self.host.connections.connect(), []
        answer = await run_call(self.host, called, given, connection=self._connection, sender=lambda _token: self._note)
        if answer.status is not None and answer.status.problem is not None:
            raise answer.status.problem
        if answer.result is None:
            message = answer.status.message if answer.status else ""
            raise RuntimeError(f"{tool.name} was not started, because it was under way: {message}")
        return cast(ResultT, answer.result)

    def cancel(self) -> None:
        """Cancel the latest call, as a client does."""
        self._connection.cancel()

    async def _note(self, progress: Progress) -> None:
        self.progress.append(progress)


@cache
def _installed() -> dict[str, AnyTool]:
    """What ``ctx.operations`` may call besides the tool that is tested."""
    return dict(load_registry().tools)


@asynccontextmanager
async def hosting(region: SimulatedRegion, now: Callable[[], float], username: str) -> AsyncIterator[Host]:
    """A host for as long as the block runs; ``now`` are seconds since 1970."""
    settings = settings_for(region, username)
    async with calls.open_host(settings, {}, connect=connector(region), now=now) as host, host.tenant() as tenant:
        yield Host(region, host, tenant, settings, now)
