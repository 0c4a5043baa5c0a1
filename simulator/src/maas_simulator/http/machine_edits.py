"""Creating and changing machines, one or several."""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from maas_simulator.http.calls import Answer, Call, Handler
from maas_simulator.http.machine_form import clean_machine
from maas_simulator.http.machine_routes import find_asked
from maas_simulator.http.render import machine_json
from maas_simulator.model.auth import NOBODY
from maas_simulator.model.fields import REQUIRED, WHOLE_FORM, Cleaning, Field, RecordForm, boolean, reference, text
from maas_simulator.model.forms import is_true, last
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.refusals import conflict, not_simulated
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
    devices = {device["system_id"]: device for device in region.tables["Device"].values()}
    known = {*region.machines, *region.racks, *devices} if call.user.is_superuser else set()

    def check(cleaning: Cleaning) -> None:
        if not asked or not known.issuperset(asked):
            wrong = "Some of the given system ids are invalid system ids." if asked else REQUIRED
            cleaning.add_error("system_id", wrong)

    form = RecordForm("Node", Field("zone", reference("Zone", by="name"), required=True), check=check)
    zone = region.tables["Zone"][form.clean(region.tables, call.form, None)["zone"]]
    for name in asked:
        if name in devices:
            devices[name]["zone"] = zone["id"]
        else:
            (region.machines.get(name) or region.racks[name]).zone = zone["name"]
    return Answer(None)


def accept(call: Call) -> Answer:
    """Commission machines that are *New*: all of them, or none if one cannot be."""
    machines = find_asked(call, "accept", lambda machine: call.user.is_superuser and not machine.locked)
    for machine in machines:
        if machine.status not in (Status.NEW, Status.COMMISSIONING):
            state = f"node {machine.system_id} is in state {machine.status_name}"
            raise conflict(f"Cannot accept node enlistment: {state}.")
    return _commission_new(call, machines)


def accept_all(call: Call) -> Answer:
    """Commission all *New* machines, for superusers; for others there are none."""
    return _commission_new(call, list(call.region.machines.values()) if call.user.is_superuser else ())


def _check_clone(cleaning: Cleaning) -> None:
    if not (cleaning.values["storage"] or cleaning.values["interfaces"]):
        cleaning.add_error(WHOLE_FORM, "Either storage or interfaces must be true.")


_CLONE: Final = RecordForm(
    "Node",
    *(Field(name, text(), required=True) for name in ("destinations", "source")),
    *(Field(name, boolean, default=False) for name in ("storage", "interfaces")),
    check=_check_clone,
)


def clone(call: Call) -> Answer:
    """Copy a machine's configuration. Only the check of the parameters is simulated."""
    _CLONE.clean(call.region.tables, call.form, None)
    raise not_simulated("cloning")


def annotating(what: str) -> Handler:
    """Return the operation that sets the data of a machine's owner; an empty value removes a key."""

    def annotate(call: Call) -> Answer:
        """Annotate an owned machine."""
        machine = call.machine()
        call.check_permission("edit", machine)
        if machine.owner is None:
            raise conflict(f"Cannot set {what}: it hasn't been acquired.")
        for name in call.form:
            if re.fullmatch(_KEY, name) is None:
                raise not_simulated(f"MAAS's error for the key {name!r}")
        given = {**machine.annotations, **{name: last(call.form, name) for name in call.form}}
        machine.annotations = {name: value for name, value in given.items() if value}
        return Answer(machine_json(call.region, machine))

    return annotate


def _commission_new(call: Call, machines: Iterable[SimulatedMachine]) -> Answer:
    new = [machine for machine in machines if machine.status is Status.NEW]
    for machine in new:
        _commission(call, machine)
    return Answer([machine_json(call.region, machine) for machine in new])


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
