"""VM hosts, and the virtual machines that allocations compose on them."""

from typing import Final

from maas_simulator.model.hardware import GIGABYTE, Disk
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.refusals import not_simulated
from maas_simulator.model.statuses import Status
from maas_simulator.operations.constraints import Constraints
from maas_simulator.state import RegionState

COMPOSED_BY: Final = frozenset({"cpu_count", "mem", "arch", "pod"})
"""The constraints that a composed machine can meet. MAAS's handling of others was not recorded."""
CPU_COUNT, MEMORY = 1, 2048
"""The default size of a virtual machine; memory is in MiB."""
DISK: Final = Disk("sda", 8 * GIGABYTE, ())


def compose(region: RegionState, constraints: Constraints) -> SimulatedMachine | None:
    """Compose a virtual machine that meets the constraints, if there is a VM host for it. MAAS does so up to 3.7."""
    names = constraints.given.get("pod")
    hosts = (machine for machine in region.machines.values() if machine.is_vm_host)
    fitting = (host for host in hosts if names is None or host.hostname in names)
    arches = tuple(constraints.given.get("arch", [""]))
    host = next((host for host in fitting if host.architecture.startswith(arches)), None)
    if host is None or "name" in constraints.given or "system_id" in constraints.given:
        return None
    if not constraints.given.keys() <= COMPOSED_BY:
        raise not_simulated(f"composing a machine by {', '.join(constraints.given.keys() - COMPOSED_BY)}")
    number = 1 + max(machine.number for machine in region.machines.values())
    machine = SimulatedMachine(
        f"vm{number:04}",
        f"{host.hostname}-vm{number}",
        number,
        Status.READY,
        architecture=host.architecture,
        cpu_count=int(float(constraints.given.get("cpu_count", [str(CPU_COUNT)])[-1])),
        memory=int(float(constraints.given.get("mem", [str(MEMORY)])[-1])),
        disks=(DISK,),
        power_type="lxd",
        pod=host.hostname,
        composed=True,
    )
    region.machines[machine.system_id] = machine
    return machine


def remove(region: RegionState, host: SimulatedMachine) -> None:
    """Delete a VM host by force, with its virtual machines."""
    host.is_vm_host = False
    for machine in [machine for machine in region.machines.values() if machine.pod == host.hostname]:
        region.remove(machine)
