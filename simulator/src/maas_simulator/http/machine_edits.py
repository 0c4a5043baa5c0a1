"""Creating and changing machines: the checks of MAAS's forms, and the changes themselves."""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.render import machine_json
from maas_simulator.model.forms import last
from maas_simulator.model.machines import MANUAL, SimulatedMachine
from maas_simulator.model.refusals import conflict, forbidden, not_simulated, refused_form
from maas_simulator.model.statuses import Status
from maas_simulator.operations.constraints import ARCHITECTURES

REQUIRED: Final = "This field is required."
NO_CHOICE: Final = "Select a valid choice. That choice is not one of the available choices."
TAKEN: Final = "Node with this Hostname already exists."

_HOSTNAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII | re.IGNORECASE)

Errors = dict[str, list[str]]

CHANGES: Final = frozenset({"description", "zone", "pool"})
"""Fields that nothing else depends on, unlike the hostname, by which machines are found."""
UNSIMULATED: Final = (
    "architecture",
    "cpu_count",
    "memory",
    "domain",
    "power_type",
    "swap_size",
    "min_hwe_kernel",
    "register_vmhost",
    "is_dpu",
)
"""Fields whose changes are not simulated. Unknown fields are ignored, as in MAAS."""


def update(call: Call) -> Answer:
    """Change a machine, for superusers."""
    machine = call.machine()
    call.check_permission("admin", machine)
    given = {name: last(call.form, name) for name in call.form}
    if errors := dict(_find_errors(call, machine, given)):
        raise refused_form(errors)
    if asked := next((name for name in given if name in UNSIMULATED or name.startswith("power_parameters")), None):
        raise not_simulated(f"changing a machine's {asked}")
    for name in CHANGES & given.keys():
        setattr(machine, name, given[name])
    if "hostname" in given:
        _rename(call, machine, given["hostname"])
    return Answer(machine_json(call.region, machine))


def create(call: Call) -> Answer:
    """Create a *New* machine, for superusers; only without power control and without commissioning."""
    if not call.user.is_superuser:
        raise forbidden()
    if errors := _find_creation_errors(call):
        raise refused_form(errors)
    if last(call.form, "power_type") != MANUAL or last(call.form, "commission") not in ("false", "0"):
        raise not_simulated("making a machine that MAAS can switch on, or that it commissions")
    made = _made(call)
    call.region.machines[made.system_id] = made
    return Answer(machine_json(call.region, made))


def set_zone(call: Call) -> Answer:
    """Move machines to another zone, for superusers."""
    if not call.user.is_superuser:
        raise forbidden()
    zone = last(call.form, "zone")
    if call.region.tables["Zone"].named(zone) is None:
        raise refused_form({"zone": [NO_CHOICE]})
    for name in call.form.get("nodes", ()):
        if name in call.region.machines:
            call.region.machines[name].zone = zone
    return Answer(None)


def clone(call: Call) -> Answer:
    """Copy a machine's configuration. Only the check of the parameters is simulated."""
    errors = {name: [REQUIRED] for name in ("destinations", "source") if not last(call.form, name)}
    if not last(call.form, "storage") and not last(call.form, "interfaces"):
        errors["__all__"] = ["Either storage or interfaces must be true."]
    if errors:
        raise refused_form(errors)
    raise not_simulated("cloning")


def set_workload_annotations(call: Call) -> Answer:
    """Annotate an owned machine. Only the rejection of unowned machines is simulated."""
    machine = call.machine()
    call.check_permission("edit", machine)
    if machine.owner is None:
        raise conflict("Cannot set workload annotation: it hasn't been acquired.")
    raise not_simulated("workload annotations")


def _rename(call: Call, machine: SimulatedMachine, hostname: str) -> None:
    if machine.is_vm_host:
        raise not_simulated("renaming a VM host")
    call.region.machines.rename(machine, hostname)


def _find_errors(call: Call, machine: SimulatedMachine, given: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    if call.region.tables["Zone"].named(given.get("zone", machine.zone)) is None:
        yield "zone", [NO_CHOICE]
    if call.region.tables["ResourcePool"].named(given.get("pool", machine.pool)) is None:
        yield "pool", [NO_CHOICE]
    hostname = given.get("hostname", machine.hostname)
    if "_" in hostname:
        yield "hostname", [f"Host label cannot contain underscore: '{hostname}'."]
    elif not _HOSTNAME.fullmatch(hostname):
        raise not_simulated(f"MAAS's error for the hostname {hostname!r}")
    elif any(other is not machine and other.hostname == hostname for other in call.region.machines.values()):
        yield "hostname", [TAKEN]
    if not given.get("cpu_count", "1").isdecimal():
        yield "cpu_count", ["Enter a whole number."]


def _find_creation_errors(call: Call) -> Errors:
    errors: Errors = {}
    addresses = call.form.get("mac_addresses", ())
    hostname, architecture = last(call.form, "hostname"), last(call.form, "architecture")
    if architecture not in ARCHITECTURES:
        choice = ", ".join(repr(each) for each in ARCHITECTURES)
        wrong = f"'{architecture}' is not a valid architecture.  It should be one of: {choice}."
        errors["architecture"] = [wrong if architecture else REQUIRED]
    others = call.region.machines.values()
    taken = [(address, other.hostname) for address in addresses for other in others if address in other.mac_addresses]
    if taken or not addresses:
        errors["mac_addresses"] = [f"MAC address {address} already in use on {name}." for address, name in taken]
        errors["mac_addresses"] = errors["mac_addresses"] or [REQUIRED]
    if taken and last(call.form, "power_type") == MANUAL:
        errors["power_type"] = ["Can't set power type to manual without network interfaces"]
    if any(other.hostname == hostname for other in others):
        errors["hostname"] = [TAKEN]
    return errors


def _made(call: Call) -> SimulatedMachine:
    number = 1 + max((machine.number for machine in call.region.machines.values()), default=0)
    return SimulatedMachine(
        # six letters and digits, as in MAAS
        sha256(f"made {number}".encode()).hexdigest()[:6],
        last(call.form, "hostname") or f"made{number}",
        number,
        Status.NEW,
        architecture=last(call.form, "architecture"),
        power_type=MANUAL,
        power_state="unknown",
        known=False,
        status_action=None,
        macs=tuple(call.form.get("mac_addresses", ())),
    )
