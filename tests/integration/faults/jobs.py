"""The operations that the fault tests run, regions with machines for them, and counts of starts and requests."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maas_commission.commission import Commission
from maas_deploy.deploy import Deploy
from maas_deploy.deploy_machines import DeployMany
from maas_deploy.release import Release
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.declaring.operation import LongRunning, Operation
from maas_simulator import SimulatedMachine, SimulatedRegion, Status, User


@dataclass(frozen=True, eq=False)
class Job:
    """An operation with arguments that give its POST a body, and its statuses."""

    operation: type[LongRunning[Any, Any]]
    op: str
    initial_status: Status
    pending_status: Status
    """The status after the start. Each run enters it once."""
    final_status: Status
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tool(self) -> str:
        return self.operation.name

    @property
    def member_operation(self) -> type[Operation[Any, Any]]:
        """The operation on one machine, as it is listed: the operation itself, or the members of the batch."""
        if issubclass(self.operation, BatchOperation):
            return self.operation.each
        assert issubclass(self.operation, Operation)
        return self.operation

    def arguments_for(self, *machines: SimulatedMachine) -> dict[str, Any]:
        ids = [each.system_id for each in machines]
        which = {"system_ids": ids} if issubclass(self.operation, BatchOperation) else {"system_id": ids[0]}
        return {**which, **self.arguments}

    def ended(self, report: Mapping[str, Any]) -> dict[str, str]:
        """The machines on which the operation succeeded, with their statuses, from a report."""
        result = report["result"] or {}
        each = [member["machine"] for member in result.get("machines", ())] or [result]
        return {machine["system_id"]: machine["status_name"] for machine in each if machine}

    def __str__(self) -> str:
        return self.tool


# An ephemeral deployment takes three to four simulated minutes, like the other operations.
IN_MEMORY = {"distro_series": "noble", "ephemeral_deploy": True}
SINGLE = (
    Job(Deploy, "deploy", Status.READY, Status.DEPLOYING, Status.DEPLOYED, IN_MEMORY),
    Job(Commission, "commission", Status.READY, Status.COMMISSIONING, Status.READY, {"enable_ssh": True}),
    Job(Release, "release", Status.DEPLOYED, Status.DISK_ERASING, Status.READY, {"erase": True}),
)
BATCH = Job(DeployMany, "deploy", Status.READY, Status.DEPLOYING, Status.DEPLOYED, IN_MEMORY)
"""Many machines at once, or one machine where it runs with the other jobs."""
JOBS = (*SINGLE, BATCH)


def region_for(job: Job, machines: int, *, speed: float) -> SimulatedRegion:
    """A region with this many machines that the job can start on. They belong to ``admin``, or to no user."""
    return _region({job: machines}, speed)


def region_with_machines(machines: int, *, speed: float) -> tuple[SimulatedRegion, dict[Job, list[SimulatedMachine]]]:
    """A region with this many machines for each job."""
    region = _region(dict.fromkeys(JOBS, machines), speed)
    everything = list(region.machines.values())
    return region, {job: everything[nth * machines :][:machines] for nth, job in enumerate(JOBS)}


def region_with_one_machine_each(*, speed: float) -> tuple[SimulatedRegion, dict[Job, SimulatedMachine]]:
    """A region with one machine for each job."""
    region, machines = region_with_machines(1, speed=speed)
    return region, {job: each[0] for job, each in machines.items()}


def _region(machines: Mapping[Job, int], speed: float) -> SimulatedRegion:
    region = SimulatedRegion([User("admin", is_superuser=True), User("bob")], speed=speed)
    for job, count in machines.items():
        for _ in range(count):
            machine = _machine(len(region.machines) + 1, job.initial_status)
            region.machines[machine.system_id] = machine
            region.say(machine, "INFO", machine.status_name)
    return region


def _machine(number: int, status: Status) -> SimulatedMachine:
    machine = SimulatedMachine(f"m{number:03}xy", f"machine{number:03}", number, status)
    if status is Status.DEPLOYED:
        machine.owner, machine.power_state = "admin", "on"
        machine.osystem, machine.distro_series = "ubuntu", "noble"
    return machine


def count_starts(region: SimulatedRegion, job: Job, machine: SimulatedMachine) -> int:
    """The number of times the machine entered the job's pending status, from the region's log."""
    change = re.compile(rf"From '.*' to '{re.escape(job.pending_status.display)}'")
    with region.lock:
        return len(
            [
                event
                for event in region.log.events
                if event.system_id == machine.system_id
                and event.type == "Node changed status"
                and change.fullmatch(event.description)
            ]
        )


def count_posts(region: SimulatedRegion, job: Job, machine: SimulatedMachine) -> int:
    """The number of the job's POSTs that reached the region, whatever their effect."""
    return len([each for each in list(region.requests) if each.op == job.op and f"/{machine.system_id}/" in each.path])


def current_state(region: SimulatedRegion, machine: SimulatedMachine) -> SimulatedMachine:
    """The machine in its current state."""
    with region.lock:
        return region.machine(machine.system_id)
