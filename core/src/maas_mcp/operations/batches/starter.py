"""The starter of a batch: starts the members through the engine, a few at a time."""

from dataclasses import dataclass, field
from typing import Any

import anyio
from pydantic import BaseModel

from maas_mcp.errors import MaasMcpError, OperationCancelledError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.batches.members import Follow
from maas_mcp.operations.batches.requests import RequestedBatch
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import ProgressReporter
from maas_mcp.operations.running.engine import Engine
from maas_mcp.operations.running.status import OperationStatus


@dataclass(frozen=True, slots=True)
class MemberStarter:
    """Starts the members of a batch."""

    engine: Engine
    each: Operation[Any, Any]
    """The operation on each machine."""
    turns: MaasClient
    """The region. Its turns limit concurrent start requests."""
    requested: RequestedBatch
    """Receives each start request."""
    handles: dict[SystemId, Handle] = field(default_factory=dict)
    """The run on each machine, including runs that were already in progress."""

    def follow(self, args: BaseModel, until: float) -> Follow:
        """Return a function that starts one member and follows it to its end or until ``until``."""
        system_id = self.each.system_id(args)

        async def run(progress: ProgressReporter) -> OperationStatus[Any]:
            try:
                prepared = await self.engine.prepare(self.each, args, progress, self.requested.cancellation)
                run = prepared if isinstance(prepared, OperationStatus) else self.engine.start(prepared, self.turns)
            except OperationCancelledError:
                raise
            except MaasMcpError as error:
                self.requested.unrequested[system_id] = error
                raise
            if isinstance(run, OperationStatus):
                self.handles[system_id] = run.handle
                return run
            self.requested.by_machine[system_id] = run.request
            try:
                status = await self.engine.follow(run, until)
            except anyio.get_cancelled_exc_class():
                # A sent request is not closed here: the batch needs MAAS's response to abort it.
                await run.request.withdraw()
                raise
            self.handles[system_id] = status.handle
            return status

        return run
