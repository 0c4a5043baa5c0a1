"""Finds the one machine that a caller means: by its system id, hostname, FQDN or MAC address."""

import re
from typing import Final

from maas_mcp.api import Listing, MaasNotFoundError, Machine, ToolContext, quoted

SYSTEM_ID: Final = re.compile(r"[a-z0-9]{1,41}")
_MAC: Final = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE)


async def resolve_machine(ctx: ToolContext, name: str) -> Machine:
    """Return the machine with this system id, hostname, FQDN or MAC address.

    Raises:
        MaasNotFoundError: There is none, or the user may not see it.
    """
    found = await find_machines(ctx, name)
    if found:
        return found[0]
    odd = f" MAAS lists one that cannot be read: {found.left_out[0]}." if found.left_out else ""
    raise MaasNotFoundError(
        f"There is no machine with the system id, hostname, FQDN or MAC address {quoted(name)}, or this user may not "
        f"see it.{odd}",
        hint="List the machines to find it.",
    )


async def find_machines(ctx: ToolContext, name: str) -> Listing[Machine]:
    """Return the machines with this system id, hostname, FQDN or MAC address, from at most three requests."""
    text = name.strip().rstrip(".")
    if mac := _MAC.fullmatch(text):
        return await ctx.maas.machine_listing(mac_address=mac[0].replace("-", ":").lower())
    if SYSTEM_ID.fullmatch(text):
        found = await ctx.maas.machine_listing(id=text)
        if found.total:
            return found
    label = text.partition(".")[0]
    # MAAS compares hostnames exactly, and keeps the case in which they were written.
    found = await ctx.maas.machine_listing(hostname=list(dict.fromkeys([label, label.lower()])))
    wanted = {each.lower() for each in (text, label)} if "." not in text else {text.lower()}
    return Listing((each for each in found if {each.hostname.lower(), each.fqdn.lower()} & wanted), found.left_out)
