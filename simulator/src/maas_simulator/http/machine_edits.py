"""Creating and changing machines, one or several."""

import re
from hashlib import sha256
from typing import Any, Final

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.machine_form import clean_machine
from maas_simulator.http.render import machine_json
from maas_simulator.model.auth import NOBODY
from maas_simulator.model.fields import NO_CHOICE, REQUIRED
from maas_simulator.model.forms import is_true, last
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.refusals import Refusal, conflict, not_simulated, refused_form
from maas_simulator.model.statuses import Status
from maas_simulator.operations import timed_operations

_KEY: Final = r"[\w.-]+"


def update(call: Call) -> Answer:
    """Change a machine, for superusers."""
    machine = call.machine()
    call.check_permission("admin", machine)
    _set(call, machine, clean_machine(call.region, call.form, machine))
    return Answer(machine_json(call.region, machine))


def create(call: Call) -> Answer:
    """Create a *New* machine. For superusers, MAAS commissions it at once unless ``commission`` is false."""
    values = clean_machine(call.region, call.form)
    if call.user is NOBODY:
        raise not_simulated("a machine that enlists itself")
    number = 1 + max((machine.number for machine in call.region.machines.values()), default=0)
    machine = SimulatedMachine(
        # six letters and digits, as in MAAS
        sha256(f"made {number}".encode()).hexdigest()[:6],
        values.pop("hostname", "") or f"made{number}",
        number,
        Status.NEW,
        power_state="unknown",
        known=False,
        status_action=None,
        macs=values.pop("mac_addresses"),
    )
    call.region.machines[machine.system_id] = machine
    _set(call, machine, values)
    if call.user.is_superuser and is_true(last(call.form, "commission") or "true"):
        _commission(call, machine)
    return Answer(machine_json(call.region, machine))


def set_zone(call: Call) -> Answer:
    """Move nodes to another zone. Those that the user does not administer are as unknown as those that do not exist."""
    region, asked = call.region, call.form.get("nodes", ())
    zone = region.tables["Zone"].named(last(call.form, "zone"))
    errors: dict[str, list[str]] = {}
    if zone is None:
        errors["zone"] = [NO_CHOICE if last(call.form, "zone") else REQUIRED]
    devices = {device["system_id"]: device for device in region.tables["Device"].values()}
    known = {*region.machines, *region.racks, *devices} if call.user.is_superuser else set()
    if not known.issuperset(asked) or not asked:
        errors["system_id"] = ["Some of the given system ids are invalid system ids." if asked else REQUIRED]
    if zone is None or errors:
        raise refused_form(errors)
    for name in asked:
        if name in devices:
            devices[name]["zone"] = zone["id"]
        else:
            (region.machines.get(name) or region.racks[name]).zone = zone["name"]
    return Answer(None)


def accept(call: Call) -> Answer:
    """Commission machines that are *New*: all of them, or none if one cannot be."""
    names = list(dict.fromkeys(call.form.get("machines", ())))
    machines = [call.region.machines[name] for name in names if name in call.region.machines]
    if unknown := [name for name in names if name not in call.region.machines]:
        raise Refusal(400, f"Unknown machine(s): {', '.join(unknown)}.")
    if refused := [machine.system_id for machine in machines if not call.user.is_superuser or machine.locked]:
        words = "You don't have the required permission to accept the following machine(s)"
        raise Refusal(403, f"{words}: {', '.join(refused)}.")
    for machine in machines:
        if machine.status not in (Status.NEW, Status.COMMISSIONING):
            raise conflict(
                f"Cannot accept node enlistment: node {machine.system_id} is in state {machine.status_name}."
            )
    return Answer([_accepted(call, machine) for machine in machines if machine.status is Status.NEW])


def accept_all(call: Call) -> Answer:
    """Commission all *New* machines, for superusers; for others there are none."""
    machines = call.region.machines.values() if call.user.is_superuser else ()
    return Answer([_accepted(call, machine) for machine in list(machines) if machine.status is Status.NEW])


def clone(call: Call) -> Answer:
    """Copy a machine's configuration. Only the check of the parameters is simulated."""
    errors = {name: [REQUIRED] for name in ("destinations", "source") if not last(call.form, name)}
    if not is_true(last(call.form, "storage")) and not is_true(last(call.form, "interfaces")):
        errors["__all__"] = ["Either storage or interfaces must be true."]
    if errors:
        raise refused_form(errors)
    raise not_simulated("cloning")


def set_annotations(call: Call, what: str) -> Answer:
    """Set the data that a machine's owner gave it; an empty value removes a key."""
    machine = call.machine()
    call.check_permission("edit", machine)
    if machine.owner is None:
        raise conflict(f"Cannot set {what}: it hasn't been acquired.")
    for name in call.form:
        if re.fullmatch(_KEY, name) is None:
            raise not_simulated(f"MAAS's error for the key {name!r}")
    given = {name: last(call.form, name) for name in call.form}
    machine.annotations = {name: value for name, value in {**machine.annotations, **given}.items() if value}
    return Answer(machine_json(call.region, machine))


def set_workload_annotations(call: Call) -> Answer:
    """Annotate an owned machine."""
    return set_annotations(call, "workload annotation")


def set_owner_data(call: Call) -> Answer:
    """Annotate an owned machine, by the older name."""
    return set_annotations(call, "owner data")


def _accepted(call: Call, machine: SimulatedMachine) -> dict[str, Any]:
    _commission(call, machine)
    return machine_json(call.region, machine)


def _commission(call: Call, machine: SimulatedMachine) -> None:
    timed_operations.commission(call.region, machine, call.user.username, call.form)


def _set(call: Call, machine: SimulatedMachine, values: dict[str, Any]) -> None:
    hostname = values.pop("hostname", machine.hostname)
    if hostname != machine.hostname:
        if machine.is_vm_host:
            raise not_simulated("renaming a VM host")
        call.region.machines.rename(machine, hostname)
    if machine.known and any(
        values.get(name, now) != now for name, now in (("cpu_count", machine.cpu_count), ("memory", machine.memory))
    ):
        machine.numa_node = machine.numa_node or (machine.cpu_count, machine.memory)
    for name, value in values.items():
        setattr(machine, name, value)
