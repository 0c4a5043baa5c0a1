"""Handlers for machines: reads, lists with filters, and all operations with their permissions."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.render import machine_json
from maas_simulator.http.resources import check_admin
from maas_simulator.model.machines import MANUAL, SimulatedMachine
from maas_simulator.model.power_types import power_json
from maas_simulator.model.refusals import Refusal, conflict
from maas_simulator.model.scripts import JSON
from maas_simulator.model.statuses import RELEASABLE, Status
from maas_simulator.operations import instant_operations
from maas_simulator.operations.constraints import Constraints
from maas_simulator.operations.rules import RULES, Rule


@dataclass(frozen=True)
class Operation:
    """The handler of an operation on one machine. It does not show the addresses yet that the operation assigned."""

    rule: Rule

    def __call__(self, call: Call) -> Answer:
        """Carry out the operation and return the machine."""
        machine = call.machine()
        call.check_permission(self.rule.permission, machine)
        status = machine.status
        before: dict[str, Any] = machine_json(call.region, machine)
        try:
            self.rule.carry_out(call.region, machine, call.user.username, call.form)
        except Refusal as refusal:
            # Only power failures have these statuses, and MAAS stores the change first.
            raise refusal.after_commit() if refusal.status in (500, 503) else refusal from None
        call.region.play()
        after: dict[str, Any] = machine_json(call.region, machine)
        if machine.status is Status.READY and not self.rule.says:
            return Answer(after)
        for nic in after["interface_set"]:
            _hide_new(nic["links"], before["ip_addresses"])
        said = {"status_message": self.rule.says[status]} if status in self.rule.says else {}
        return Answer(after | {field: before[field] for field in self.rule.keeps} | said)


def _hide_new(links: list[JSON], addresses: list[str]) -> None:
    for link in links:
        if link.get("ip_address") not in addresses:
            link.pop("ip_address", None)


def read(call: Call) -> Answer:
    """One machine."""
    return Answer(machine_json(call.region, call.machine()))


def list_allocated(call: Call) -> Answer:
    """The user's allocated machines."""
    mine = (machine for machine in call.region.machines.values() if machine.owner == call.user.username)
    return Answer([machine_json(call.region, machine) for machine in mine if machine.status is Status.ALLOCATED])


def power_parameters(call: Call) -> Answer:
    """The power parameters of a machine, for superusers."""
    machine = call.machine()
    call.check_permission("superuser", machine)
    return Answer(power_json(machine))


def all_power_parameters(call: Call) -> Answer:
    """The power parameters of all machines, for superusers."""
    check_admin(call)
    asked = call.query.get("id")
    every = call.region.machines.items()
    return Answer({name: power_json(machine) for name, machine in every if asked is None or name in asked})


def power_off(call: Call) -> Answer:
    """Switch off; ``null`` if MAAS cannot."""
    machine = call.machine()
    manual = machine.power_type == MANUAL
    answer = Operation(RULES["power_off"])(call)
    return Answer(None) if manual else answer


def query_power_state(call: Call) -> Answer:
    """The power state from the BMC."""
    return Answer({"state": instant_operations.query_power_state(call.region, call.machine())})


def delete(call: Call) -> Answer:
    """Delete a machine, for superusers only."""
    machine = call.machine()
    call.check_permission("admin", machine)
    call.region.remove(machine)
    return Answer(text="", status=204, content_type="text/plain")


def list_machines(call: Call) -> Answer:
    """All machines that the user may see and that match the filters. Unknown filters are a 400, unknown ids ignored."""
    return Answer([machine_json(call.region, machine) for machine in find_machines(call)])


def find_machines(call: Call) -> Iterator[SimulatedMachine]:
    """The machines that the user may see and that match the filters."""
    constraints = Constraints(call.region, call.query, allocating=False)
    return (machine for machine in _candidates(call) if call.sees(machine) and constraints.meets(machine))


def _candidates(call: Call) -> Iterable[SimulatedMachine]:
    """The machines left by an id or hostname filter, in the region's order. This avoids reading all machines."""
    machines = call.region.machines
    if "id" in call.query:
        found = [machines[name] for name in dict.fromkeys(call.query["id"]) if name in machines]
    elif "hostname" in call.query:
        found = machines.called(call.query["hostname"])
    else:
        return machines.values()
    return sorted(found, key=attrgetter("number"))


def allocate(call: Call) -> Answer:
    """Acquire a machine by constraints. MAAS 3.7 fails at a body that is no form."""
    if call.data is not call.form:
        raise Refusal(500, f"'{type(call.data).__name__}' object has no attribute 'lists'")
    machine, found = instant_operations.allocate(call.region, call.user.username, call.form)
    return Answer(machine_json(call.region, machine) | {"constraints_by_type": found})


def release_many(call: Call) -> Answer:
    """Release several machines: all of them, or none if one cannot be released. *Ready* machines are skipped."""
    machines = find_asked(call, "release", lambda machine: call.sees(machine) and not machine.locked)
    stuck = [m for m in machines if m.status not in RELEASABLE | {Status.READY, Status.RELEASING}]
    if stuck:
        states = ", ".join(f"{m.system_id} ('{m.status_name}')" for m in stuck)
        raise conflict(f"Machine(s) cannot be released in their current state: {states}.")
    released = [m for m in machines if m.status in RELEASABLE]
    comment = {name: list(values) for name, values in call.form.items() if name == "comment"}
    for machine in released:
        RULES["release"].carry_out(call.region, machine, call.user.username, comment)
    return Answer([machine.system_id for machine in released])


def find_asked(call: Call, verb: str, may: Callable[[SimulatedMachine], bool]) -> list[SimulatedMachine]:
    """The machines in a request for several; 400 if one is unknown, 403 if the user may not do this with one."""
    asked, known = list(dict.fromkeys(call.form.get("machines", ()))), call.region.machines
    if unknown := [name for name in asked if name not in known]:
        raise Refusal(400, f"Unknown machine(s): {', '.join(unknown)}.")
    if refused := [name for name in asked if not may(known[name])]:
        words = f"You don't have the required permission to {verb} the following machine(s)"
        raise Refusal(403, f"{words}: {', '.join(refused)}.")
    return [known[name] for name in asked]
