"""Tools for testing plugins: a simulated MAAS region, a host that runs operations on it, and simulated time.

Installing ``maas-mcp-core[testing]`` adds the pytest fixture ``maas_region``, a :class:`MaasRegion`.
"""

from maas_mcp.operations.progress import Progress
from maas_mcp.testing.host import Host
from maas_mcp.testing.region import MaasRegion
from maas_simulator import (
    Costs,
    Disk,
    Fault,
    Latency,
    OddEvents,
    OddMachine,
    RateLimit,
    RequestRecord,
    SimulatedMachine,
    SimulatedRegion,
    Status,
    User,
    Variant,
)

__all__ = [
    "Costs",
    "Disk",
    "Fault",
    "Host",
    "Latency",
    "MaasRegion",
    "OddEvents",
    "OddMachine",
    "Progress",
    "RateLimit",
    "RequestRecord",
    "SimulatedMachine",
    "SimulatedRegion",
    "Status",
    "User",
    "Variant",
]
