"""For the tests of plugins: a simulated region, the host to run an operation on it, and a clock that hurries.

Installing ``maas-mcp-core[testing]`` gives every pytest run the fixture ``maas_region``, a :class:`MaasRegion`.
"""

from maas_mcp.operations.progress import Progress
from maas_mcp.testing.host import Host
from maas_mcp.testing.region import MaasRegion
from maas_simulator import (
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
