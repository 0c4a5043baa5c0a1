"""The plugin's settings, and the informer as its state for each caller."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from pydantic import BaseModel, Field

from maas_mcp.api import LifespanContext

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Informer


class InventorySettings(BaseModel):
    """The settings of the plugin."""

    resync_share: float = Field(
        default=0.05,
        gt=0.0,
        le=1.0,
        description="Share of one MAAS worker's time for reading all machines again, which finds changes without an "
        "event. With 0.05, 1,000 machines take 15 minutes. Machines are read only while callers list them.",
    )


@asynccontextmanager
async def open_informer(ctx: LifespanContext[InventorySettings, None]) -> AsyncIterator["Informer"]:
    """Provide the caller's informer, which sends no request before it is asked for machines."""
    from maas_inventory.informer.informer import Informer  # noqa: PLC0415 - imports msgspec

    async with anyio.create_task_group() as tasks:
        yield Informer(ctx.maas, ctx.events, tasks, ctx.settings.resync_share)
        tasks.cancel_scope.cancel()
