"""Observers of the requests to MAAS, such as metrics and traces."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final

COLLECTIONS: Final = frozenset(
    {
        "account", "bcaches", "bcache-cache-sets", "blockdevices", "boot-resources", "boot-source-selections",
        "boot-sources", "commissioning-scripts", "devices", "discovery", "dnsresourcerecords", "dnsresources",
        "domains", "events", "fabrics", "files", "installation-results", "interfaces", "ipaddresses", "ipranges",
        "license-keys", "maas", "machines", "networks", "nodes", "notifications", "package-repositories", "partition",
        "partitions", "pods", "rackcontrollers", "raids", "regioncontrollers", "reservedips", "resourcepool",
        "resourcepools", "results", "scripts", "spaces", "sshkeys", "sslkeys", "static-routes", "subnets", "tags",
        "users", "version", "virtual-machine", "vlans", "vm-cluster", "vm-clusters", "vm-host", "vm-hosts",
        "vmfs-datastore", "vmfs-datastores", "volume-group", "volume-groups", "zones",
    }
)  # fmt: skip
"""The words in paths of the MAAS 3.x API that are not the name or id of an object."""
_OP: Final = re.compile(r"[a-z_]{1,40}")


@dataclass(slots=True)
class Exchange:
    """One HTTP request to MAAS, and its response."""

    method: str
    url: str
    endpoint: str
    """The path without names and ids, and the operation: ``machines/{id}/?op=deploy``. Has few different values."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers that an observer adds to the request."""
    status: int | None = None
    """The status of the response; ``None`` until it has arrived."""
    date: str | None = None
    """The response's header ``Date``."""


ObserveExchange = Callable[[Exchange], AbstractContextManager[None]]
"""Observes an exchange: the request is sent in the block. An error of the block refers to the API key, so observers may
use only its type."""


def endpoint_of(path: str, op: str | None) -> str:
    """Return the kind of endpoint of a request: the path with ``{id}`` for each name and id, and the operation."""
    words = [word if word in COLLECTIONS else "{id}" for word in path.strip("/").split("/")]
    named = f"?op={op}" if op and _OP.fullmatch(op) else ""
    return f"{'/'.join(words)}/{named}"
