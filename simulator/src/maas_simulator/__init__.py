"""A simulated MAAS region, for the tests of any MAAS client."""

from maas_simulator.control import create_control_app
from maas_simulator.http.app import create_app
from maas_simulator.model.auth import User
from maas_simulator.model.costs import Costs
from maas_simulator.model.faults import Fault, Latency, RateLimit, RequestCount, RequestRecord, count_requests
from maas_simulator.model.hardware import Disk
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.oddities import OddEvents, OddMachine
from maas_simulator.model.statuses import Status
from maas_simulator.model.variants import Variant
from maas_simulator.operations.plans import Planned
from maas_simulator.region import SimulatedRegion
from maas_simulator.run import run, serving, serving_control
from maas_simulator.worlds.files import WorldFileError, fill_region, read_world
from maas_simulator.worlds.inputs import WorldError
from maas_simulator.worlds.ready_made import DEMO_USERS, add_demo_machines, demo_region, generated_region
from maas_simulator.worlds.world import World

__all__ = [
    "DEMO_USERS",
    "Costs",
    "Disk",
    "Fault",
    "Latency",
    "OddEvents",
    "OddMachine",
    "Planned",
    "RateLimit",
    "RequestCount",
    "RequestRecord",
    "SimulatedMachine",
    "SimulatedRegion",
    "Status",
    "User",
    "Variant",
    "World",
    "WorldError",
    "WorldFileError",
    "add_demo_machines",
    "count_requests",
    "create_app",
    "create_control_app",
    "demo_region",
    "fill_region",
    "generated_region",
    "read_world",
    "run",
    "serving",
    "serving_control",
]
