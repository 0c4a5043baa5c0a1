"""The operations that the faults are tried on, machines for many runs of each, and what a region saw of them."""

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
    """An operation, with arguments that give its POST a body, and where it begins, goes on and ends."""

    operation: type[LongRunning[Any, Any]]
    op: str
    begins: Status
    enters: Status
    """The status that its start leads to, once."""
    ends: Status
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tool(self) -> str:
        return self.operation.name

    @property
    def of_each(self) -> type[Operation[Any, Any]]:
        """What is done to one machine, and what it is listed as: the operation itself, unless it is a batch."""
        if issubclass(self.operation, BatchOperation):
            return self.operation.each
        assert issubclass(self.operation, Operation)
        return self.operation

    def arguments_for(self, *machines: SimulatedMachine) -> dict[str, Any]:
        ids = [each.system_id for each in machines]
        which = {"system_ids": ids} if issubclass(self.operation, BatchOperation) else {"system_id": ids[0]}
        return {**which, **self.arguments}

    def ended(self, report: Mapping[str, Any]) -> dict[str, str]:
        """The machines on which it has succeeded, by what was reported, and the status of each."""
        result = report["result"] or {}
        each = [member["machine"] for member in result.get("machines", ())] or [result]
        return {machine["system_id"]: machine["status_name"] for machine in each if machine}

    def __str__(self) -> str:
        return self.tool


# Into memory: so all of them take three to four simulated minutes.
IN_MEMORY = {"distro_series": "noble", "ephemeral_deploy": True}
SINGLE = (
    Job(Deploy, "deploy", Status.READY, Status.DEPLOYING, Status.DEPLOYED, IN_MEMORY),
    Job(Commission, "commission", Status.READY, Status.COMMISSIONING, Status.READY, {"enable_ssh": True}),
    Job(Release, "release", Status.DEPLOYED, Status.DISK_ERASING, Status.READY, {"erase": True}),
)
BATCH = Job(DeployMany, "deploy", Status.READY, Status.DEPLOYING, Status.DEPLOYED, IN_MEMORY)
"""Many machines at once; where it stands among the others it has one."""
JOBS = (*SINGLE, BATCH)


def crowd(job: Job, machines: int, *, speed: float) -> SimulatedRegion:
    """A region with so many machines that the job can be begun on; all of them are ``admin``'s, or nobody's."""
    return _region({job: machines}, speed)


def some_of_each(machines: int, *, speed: float) -> tuple[SimulatedRegion, dict[Job, list[SimulatedMachine]]]:
    """A region with so many machines for each job."""
    region = _region(dict.fromkeys(JOBS, machines), speed)
    everything = list(region.machines.values())
    return region, {job: everything[nth * machines :][:machines] for nth, job in enumerate(JOBS)}


def one_of_each(*, speed: float) -> tuple[SimulatedRegion, dict[Job, SimulatedMachine]]:
    """A region with one machine for each job."""
    region, machines = some_of_each(1, speed=speed)
    return region, {job: each[0] for job, each in machines.items()}


def _region(machines: Mapping[Job, int], speed: float) -> SimulatedRegion:
    region = SimulatedRegion([User("admin", is_superuser=True), User("bob")], speed=speed)
    for job, count in machines.items():
        for _ in range(count):
            machine = _machine(len(region.machines) + 1, job.begins)
            region.machines[machine.system_id] = machine
            region.say(machine, "INFO", machine.status_name)
    return region


def _machine(number: int, status: Status) -> SimulatedMachine:
    machine = SimulatedMachine(f"m{number:03}xy", f"machine{number:03}", number, status)
    if status is Status.DEPLOYED:
        machine.owner, machine.power_state = "admin", "on"
        machine.osystem, machine.distro_series = "ubuntu", "noble"
    return machine


def starts(region: SimulatedRegion, job: Job, machine: SimulatedMachine) -> int:
    """How often the machine came into the status that the job's start leads to, by the region's own log."""
    change = re.compile(rf"From '.*' to '{re.escape(job.enters.display)}'")
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


def orders(region: SimulatedRegion, job: Job, machine: SimulatedMachine) -> int:
    """How many POSTs for it have reached the region, whatever it did with them."""
    return len([each for each in list(region.requests) if each.op == job.op and f"/{machine.system_id}/" in each.path])


def of(region: SimulatedRegion, machine: SimulatedMachine) -> SimulatedMachine:
    """The machine as it is now."""
    with region.lock:
        return region.machine(machine.system_id)
