"""What the operations do that are over when they are answered: allocating, locking, power, and marking."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from maas_mcp.simulator.forms import Form, each, flag, last
from maas_mcp.simulator.machines import SimulatedMachine
from maas_mcp.simulator.operations import BMC_FAILED, acquire, deploy
from maas_mcp.simulator.refusals import conflict, invalid, not_simulated
from maas_mcp.simulator.releasing import LOCAL_BOOT
from maas_mcp.simulator.scripts import SetType
from maas_mcp.simulator.statuses import BREAKABLE, RELEASABLE, Status

if TYPE_CHECKING:
    from maas_mcp.simulator.region import Region

ARCHITECTURES = ("amd64/generic", "arm64/generic")
_NOT_CONSTRAINTS = frozenset({"op", "dry_run", "verbose", "comment", "agent_name", "bridge_all", "bridge_type"})


def lock(region: "Region", machine: SimulatedMachine, username: str, form: Form) -> None:
    """Protect a deployed or deploying machine: nearly everything is a 403 from now on."""
    if machine.locked:
        raise conflict("Machine is already locked")
    if machine.status not in (Status.DEPLOYED, Status.DEPLOYING):
        raise conflict("Can't lock, node is not deployed or deploying")
    region.said_by(machine, username, "User locking node", last(form, "comment"))
    machine.locked = True


def unlock(region: "Region", machine: SimulatedMachine, username: str, form: Form) -> None:
    """End the protection."""
    if not machine.locked:
        raise conflict("Machine is not locked")
    region.said_by(machine, username, "User unlocking node", last(form, "comment"))
    machine.locked = False


def mark_broken(region: "Region", machine: SimulatedMachine, username: str, form: Form) -> None:
    """Take a machine out of use, releasing it first if it is in use."""
    if machine.status not in BREAKABLE:
        raise conflict(f"Invalid transition: {machine.status_name} -> Broken.")
    comment = last(form, "comment") or last(form, "error_description")
    region.said_by(machine, username, "User marking node broken", comment)
    if machine.status in RELEASABLE:
        region.say(machine, "INFO", "Releasing")
        region.say(machine, "INFO", "Released")
    machine.run = None
    machine.previous_status = machine.status
    region.set_status(machine, Status.BROKEN)
    machine.error_description = comment
    region.give_back(machine)


def mark_fixed(region: "Region", machine: SimulatedMachine, username: str, form: Form) -> None:
    """Put a broken machine back into use."""
    if machine.status is not Status.BROKEN:
        raise conflict("Can't mark a non-broken node as 'Ready'.")
    region.said_by(machine, username, "User marking node fixed", last(form, "comment"))
    region.set_status(machine, Status.READY)
    machine.error_description = ""
    machine.current.pop(SetType.INSTALLATION, None)


def override_failed_testing(region: "Region", machine: SimulatedMachine, username: str, form: Form) -> None:
    """Believe the machine and not its tests."""
    if machine.status is not Status.FAILED_TESTING:
        raise conflict("Unable to override node status. Node is not in 'Failed testing' status.")
    region.said_by(machine, username, "User overrode 'Failed testing' status", last(form, "comment"))
    region.set_status(machine, Status.DEPLOYED if machine.installed else Status.READY)
    if not machine.installed:
        region.give_back(machine)


def power_on(region: "Region", machine: SimulatedMachine, username: str, form: Form) -> None:
    """Switch on. MAAS 3.7: on an *Allocated* machine this is a deploy, on an ephemeral one it would redeploy."""
    del form
    if machine.owner is None:
        raise conflict("Can't start node: it hasn't been allocated.")
    if machine.status is Status.ALLOCATED:
        deploy(region, machine, username, {})
        return
    if machine.status is Status.DEPLOYED and machine.ephemeral_deploy:
        raise not_simulated("power_on of an ephemeral deployment, which redeploys it")
    region.check_power(machine)
    if machine.run is None and machine.power_state == "off":
        region.begin(machine, LOCAL_BOOT)
    machine.power_state = "on"


def power_off(region: "Region", machine: SimulatedMachine, username: str, form: Form) -> None:
    """Switch off; ``stop_mode`` may be anything."""
    del username, form
    if machine.power_type != "manual":
        region.check_power(machine)
        machine.power_state = "off"


def query_power_state(region: "Region", machine: SimulatedMachine) -> str:
    """Ask the BMC. If no rack controller can, the state is unknown from then on."""
    if machine.power_type == "manual":
        return "unknown"
    failure = region.power_failure(machine)
    if failure is not None:
        machine.power_state = "error" if failure.status == BMC_FAILED else "unknown"
        raise failure
    return machine.power_state


def allocate(region: "Region", username: str, form: Form) -> SimulatedMachine:
    """The first *Ready*, unowned machine that meets all constraints, now the user's; ``dry_run`` only finds it."""
    constraints = {name: list(values) for name, values in form.items() if name not in _NOT_CONSTRAINTS}
    tests = [_CONSTRAINTS[name](region, each(form, name)) for name in constraints if _known(name)]
    for machine in region.machines.values():
        free = machine.status is Status.READY and machine.owner is None and not machine.locked
        if free and all(test(machine) for test in tests):
            if not flag(form, "dry_run"):
                acquire(region, machine, username, last(form, "comment"))
                machine.agent_name = last(form, "agent_name")
            return machine
    if not constraints:
        raise conflict("No machine available.")
    if "system_id" in constraints:
        raise conflict(f"No machine with system ID {last(form, 'system_id')} available.")
    pairs = [(name, each(form, name)) for name in constraints]
    resolved = " ".join(f"{name}={','.join(_resolved(name, values))}" for name, values in pairs)
    raise conflict(f'No available machine matches constraints: {pairs} (resolved to "{resolved}")')


Test = Callable[[SimulatedMachine], bool]


def _known(name: str) -> bool:
    if name not in _CONSTRAINTS:
        raise not_simulated(f"allocating by {name}")
    return True


def _resolved(name: str, values: list[str]) -> list[str]:
    return [str(float(value)) for value in values] if name in ("cpu_count", "mem") else values


def _number(field: str, title: str) -> Callable[["Region", list[str]], Test]:
    def make(region: "Region", values: list[str]) -> Test:
        del region
        try:
            least = float(values[-1])
        except (ValueError, IndexError):
            kind = "cpu_count" if field == "cpu_count" else "mem"
            raise invalid(kind, f"Invalid {title}: number required.") from None
        return lambda machine: float(getattr(machine, field)) >= least

    return make


def _architecture(region: "Region", values: list[str]) -> Test:
    del region
    known = {*ARCHITECTURES, *(name.partition("/")[0] for name in ARCHITECTURES)}
    if not set(values) <= known:
        raise invalid("arch", "Architecture not recognised.")
    return lambda machine: machine.architecture in values or machine.architecture.partition("/")[0] in values


def _tags(region: "Region", values: list[str]) -> Test:
    check_tags(region, "tags", values)
    return lambda machine: set(values) <= set(machine.tag_names)


def _not_tags(region: "Region", values: list[str]) -> Test:
    check_tags(region, "not_tags", values)
    return lambda machine: not set(values) & set(machine.tag_names)


def _zone(region: "Region", values: list[str]) -> Test:
    check_names(region, "zone", values)
    return lambda machine: machine.zone in values


def _pool(region: "Region", values: list[str]) -> Test:
    check_names(region, "pool", values)
    return lambda machine: machine.pool in values


def _not_in_zone(region: "Region", values: list[str]) -> Test:
    check_names(region, "not_in_zone", values)
    return lambda machine: machine.zone not in values


def _not_in_pool(region: "Region", values: list[str]) -> Test:
    check_names(region, "not_in_pool", values)
    return lambda machine: machine.pool not in values


def _name(region: "Region", values: list[str]) -> Test:
    del region
    return lambda machine: machine.hostname in values or f"{machine.hostname}.maas" in values


def _system_id(region: "Region", values: list[str]) -> Test:
    del region
    return lambda machine: machine.system_id in values


_CONSTRAINTS: dict[str, Callable[["Region", list[str]], Test]] = {
    "name": _name,
    "system_id": _system_id,
    "arch": _architecture,
    "cpu_count": _number("cpu_count", "CPU count"),
    "mem": _number("memory", "memory"),
    "tags": _tags,
    "not_tags": _not_tags,
    "zone": _zone,
    "not_in_zone": _not_in_zone,
    "pool": _pool,
    "not_in_pool": _not_in_pool,
}


def check_tags(region: "Region", field: str, values: list[str]) -> None:
    """400 for a tag that does not exist, which MAAS quotes."""
    unknown = [value for value in values if value not in region.tags]
    if unknown:
        raise invalid(field, f"No such tag(s): {', '.join(repr(value) for value in unknown)}.")


def check_names(region: "Region", field: str, values: list[str]) -> None:
    """400 for a zone or pool that does not exist, which MAAS does not quote."""
    known = region.zones if field.endswith("zone") else region.pools
    unknown = [value for value in values if value not in known]
    if unknown:
        raise invalid(field, f"No such {field.removeprefix('not_in_')}(s): {', '.join(unknown)}.")
