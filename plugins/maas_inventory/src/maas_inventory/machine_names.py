"""Finds the one machine that a caller means: by its system id, hostname, FQDN, MAC or IP address."""

from typing import TYPE_CHECKING, Final

from maas_inventory.lifespan import InventorySettings
from maas_inventory.machines.explaining import suggest_names
from maas_mcp.api import InvalidArgumentsError, MaasNotFoundError, ToolContext, quoted

if TYPE_CHECKING:  # they import msgspec, which no call needs before the first question about machines
    from maas_inventory.informer.informer import Informer
    from maas_inventory.informer.rows import Row

MAX_NAMED: Final = 5
"""Machines of the same name that a message names."""


async def resolve_machine(ctx: "ToolContext[InventorySettings, Informer]", name: str) -> "Row":
    """Return the machine with this system id, hostname, FQDN, MAC or IP address.

    Raises:
        MaasNotFoundError: There is none, or the user may not see it.
        InvalidArgumentsError: There are several.
    """
    answer = await ctx.state.resolve(name, progress=ctx.progress)
    if len(answer.rows) == 1:
        return answer.rows[0]
    if answer.rows:
        found = ", ".join(f"{quoted(row.fqdn)} ({row.system_id})" for row in answer.rows[:MAX_NAMED])
        raise InvalidArgumentsError(
            f"{len(answer.rows)} machines are called {quoted(name)}: {found}.",
            hint="Pass the system id or the FQDN of one.",
        )
    odd = f" MAAS lists one that cannot be read: {answer.left_out[0]}." if answer.left_out else ""
    far = "" if answer.complete else f" So far, {answer.known:,} machines are known: repeat the call later."
    known = await ctx.state.query(patience=0)
    raise MaasNotFoundError(
        f"There is no machine with the system id, hostname, FQDN, MAC or IP address {quoted(name)}, or this user may "
        f"not see it.{odd}{far}",
        hint=suggest_names([name], known.rows) or "List the machines to find it.",
    )
