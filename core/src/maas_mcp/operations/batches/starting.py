"""Starting the members of a batch: each through the engine, and a few at a time."""

from dataclasses import dataclass, field
from typing import Any

import anyio
from pydantic import BaseModel

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.batches.members import Follow
from maas_mcp.operations.batches.requests import Requested
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.status import OperationStatus


@dataclass(frozen=True, slots=True)
class Starting:
    """The start of a batch."""

    engine: Engine
    each: Operation[Any, Any]
    """What is done to each machine."""
    turns: MaasClient
    """The region, whose turns the requests wait for."""
    requested: Requested
    """Gets each request."""
    cancellation: CancellationToken
    handles: dict[SystemId, Handle] = field(default_factory=dict)
    """What is followed on each machine, also where that was under way before."""

    def follow(self, args: BaseModel, until: float) -> Follow:
        """Starts one member, and follows it to its end or until then."""
        system_id = self.each.system_id(args)

        async def run(progress: ProgressReporter) -> OperationStatus[Any]:
            prepared = await self.engine.prepare(self.each, args, progress, self.cancellation)
            run = prepared if isinstance(prepared, OperationStatus) else self.engine.start(prepared, self.turns)
            if isinstance(run, OperationStatus):
                self.handles[system_id] = run.handle
                return run
            self.requested.by_machine[system_id] = run.request
            try:
                status = await self.engine.follow(run, until)
            except anyio.get_cancelled_exc_class():
                # To abort what was sent, MAAS's answer has to be heard: that is the whole batch's to do.
                await run.request.withdraw()
                raise
            self.handles[system_id] = status.handle
            return status

        return run
