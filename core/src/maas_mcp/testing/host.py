"""The host without MCP: it runs tools and operations on a simulated region in the same process."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from pydantic import BaseModel, SecretStr

from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, Tool, ToolContext
from maas_mcp.operations.progress import Progress, ProgressReporter
from maas_mcp.operations.running.results import structured
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.server.arguments import parse_arguments
from maas_mcp.server.calls import Call
from maas_mcp.server.services import Services, running
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
        secret=SecretStr(SECRET),
    )


def connector(region: SimulatedRegion) -> Callable[[RegionAccess], MaasClient]:
    """Makes clients of the region: everything but the socket is real."""
    app = create_app(region)
    return lambda access: MaasClient(HttpTransport(access, wire=InProcessWire(app)))


class Host:
    """Runs tools and operations on a region as the server does, and notes what they tell."""

    def __init__(
        self, region: SimulatedRegion, services: Services, settings: Settings, now: Callable[[], float]
    ) -> None:
        self.region = region
        self.services = services
        self.settings = settings
        self.now = now
        self.progress: list[Progress] = []
        self._call = Call()

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
        called: AnyTool = tool()
        args, _ = parse_arguments(called, given)
        self._call, self.progress = Call(), []
        progress = ProgressReporter(self._note)
        async with progress.reporting():
            result: BaseModel | None
            if isinstance(called, Tool):
                result = await called.run(
                    ToolContext(self.services.maas, progress, self._call.token, timing=self.services.timing), args
                )
            else:
                outcome = await self.services.run(called, args, progress, self._call, on_cancel=on_cancel)
                if not outcome.ended:
                    raise RuntimeError(f"{tool.name} was not started, because it was under way: {outcome.message}")
                if outcome.problem is not None:
                    raise outcome.problem
                result = outcome.result
        structured(called, result)
        return cast(ResultT, result)

    def cancel(self) -> None:
        """Cancel the latest call, as a client does."""
        self._call.token.cancel()

    async def _note(self, progress: Progress) -> None:
        self.progress.append(progress)


@asynccontextmanager
async def hosting(region: SimulatedRegion, now: Callable[[], float], username: str) -> AsyncIterator[Host]:
    """A host for as long as the block runs; ``now`` are seconds since 1970."""
    settings = settings_for(region, username)
    async with running(settings, connect=connector(region), now=now) as services:
        yield Host(region, services, settings, now)
