"""Events as news of machines: an event shows a new status at once, and which machines to read. It does no I/O."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from maas_inventory.informer.snapshot import Snapshot
from maas_mcp.api import Event
from maas_mcp.api import MachineStatus as S

WORKING_DELAY: Final = 20.0
"""Seconds until a machine is read after MAAS started to work on it. Its status is known already, and
the watcher of an operation probably reads it before."""
RESTING_DELAY: Final = 3.0
"""Seconds until a machine is read after any other news, so that one request serves several machines."""
WORKING: Final = frozenset(
    {
        S.COMMISSIONING, S.DEPLOYING, S.RELEASING, S.DISK_ERASING, S.ENTERING_RESCUE_MODE, S.EXITING_RESCUE_MODE,
        S.TESTING,
    }
)  # fmt: skip
"""Statuses of a machine that MAAS works on. Another status follows."""
_OWNER: Final = re.compile(r" \(to (?P<owner>[^()]+)\)$")
SILENT: Final = frozenset(
    {
        "Aborted commissioning", "Aborted deployment", "Aborted disk erasing", "Aborted testing",
        "Commissioning", "Configuring OS", "Configuring storage", "Deployed", "Deploying", "Disk erasing",
        "Disks erased", "Entering rescue mode", "Exited rescue mode", "Exiting rescue mode", "Failed commissioning",
        "Failed testing", "Gathering information", "HTTP Request", "Image Deployed", "Installing OS",
        "Loading ephemeral", "Node commissioning", "Node installation", "Node post-installation failure",
        "Node status event", "PXE Request", "Performing PXE boot", "Ready", "Rebooting", "Released", "Releasing",
        "Rescue mode", "Running test", "Script", "Script result", "TFTP Request", "Testing",
        "User aborting deployment", "User aborting disk erase", "User aborting node commissioning",
        "User aborting node testing", "User acquiring node", "User erasing disk", "User marking node broken",
        "User marking node fixed", "User releasing node", "User starting deployment",
        "User starting node commissioning", "User starting node testing", "User starting rescue mode",
        "User stopping rescue mode",
    }
)  # fmt: skip
"""Types of events (MAAS 3.7) that change no field of a row, or whose changes come with that of the status."""


@dataclass(slots=True)
class News:
    """What events say about machines."""

    delays: dict[str, float] = field(default_factory=dict)
    """Seconds until each machine with news is read."""
    unknown: dict[str, None] = field(default_factory=dict)
    """Nodes that are not in the snapshot. Some are new machines, and some no machines."""


def take_events(snapshot: Snapshot, events: Iterable[Event], now: float) -> News:
    """Change the statuses in the snapshot as the events say, oldest first. Return which machines to read."""
    news = News()
    for event in events:
        if event.node and event.node not in snapshot.rows:
            news.unknown[event.node] = None
        elif event.node:
            delay = _take(snapshot, event, now)
            if delay is not None:
                news.delays[event.node] = delay
    for node in news.delays:
        snapshot.note_change(node, now)
    return news


def _take(snapshot: Snapshot, event: Event, now: float) -> float | None:
    change = event.status_change
    if change is None:
        return None if event.type in SILENT else RESTING_DELAY
    old, new = change
    row = snapshot.rows[event.node]
    # A row that was read after the event has the new status already, or a later one.
    if new is not None and row.status == old:
        owner = _OWNER.search(event.description)
        fields = {"status": int(new), "status_name": new.display}
        snapshot.patch(event.node, now, **fields, **({"owner": owner["owner"]} if owner else {}))
    return WORKING_DELAY if new in WORKING else RESTING_DELAY
