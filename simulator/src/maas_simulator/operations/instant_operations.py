"""Operations that complete within the request: allocating, locking, power, and marking."""

from maas_simulator.model.forms import Form, bridge_params, last, strict_boolean
from maas_simulator.model.machines import MANUAL, SimulatedMachine
from maas_simulator.model.power import Command
from maas_simulator.model.refusals import Refusal, conflict, not_simulated
from maas_simulator.model.scripts import SetType
from maas_simulator.model.statuses import FAILURE_OF, LOCKABLE, RELEASABLE, Status
from maas_simulator.operations import runner
from maas_simulator.operations.constraints import Constraints
from maas_simulator.operations.release_stages import LOCAL_BOOT, SWITCH_OFF, complete_release
from maas_simulator.operations.timed_operations import acquire, deploy, start_releasing
from maas_simulator.operations.vm_hosts import compose
from maas_simulator.state import RegionState, Stage

IPMI = "ipmi"
"""The power type whose driver power-cycles a machine that is already on."""


def lock(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Lock a deployed or deploying machine. Most requests for it are a 403 from now on."""
    if machine.locked:
        raise conflict("Machine is already locked")
    if machine.status not in LOCKABLE:
        raise conflict("Can't lock, node is not deployed or deploying")
    region.said_by(machine, username, "User locking node", last(form, "comment"))
    machine.locked = True


def unlock(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Unlock the machine."""
    if not machine.locked:
        raise conflict("Machine is not locked")
    region.said_by(machine, username, "User unlocking node", last(form, "comment"))
    machine.locked = False


def mark_broken(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Take a machine out of use, and release it first if it is in use.

    The release of a machine that is on never ends, and so leaves the owner. If the machine cannot be switched off, MAAS
    reports this after marking it.
    """
    comment = last(form, "comment") or last(form, "error_description")
    region.said_by(machine, username, "User marking node broken", comment)
    before, was_on, failure = machine.status, machine.is_on, None
    in_use = before in RELEASABLE and before is not Status.BROKEN
    if in_use:
        failure = region.power_failure(machine, "off") if was_on else None
        start_releasing(region, machine)
    region.end_run(machine)
    if in_use and not was_on:
        complete_release(region, machine)
    elif in_use and failure is None:
        runner.start(region, machine, SWITCH_OFF)
    if before is not Status.BROKEN:
        machine.previous_status = before
    region.set_status(machine, Status.BROKEN)
    machine.error_description = comment
    if failure is not None:
        raise failure


def mark_fixed(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Return a broken machine to use. A machine that was deployed is *Deployed* again (MAAS 3.7)."""
    region.said_by(machine, username, "User marking node fixed", last(form, "comment"))
    was_deployed = machine.previous_status is Status.DEPLOYED
    region.set_status(machine, Status.DEPLOYED if was_deployed else Status.READY)
    machine.error_description = ""
    machine.current.pop(SetType.INSTALLATION, None)


def override_failed_testing(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Ignore the failed tests."""
    region.said_by(machine, username, "User overrode 'Failed testing' status", last(form, "comment"))
    region.leave_in(machine, Status.DEPLOYED if machine.installed else Status.READY)


def power_on(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Switch on. MAAS 3.7 deploys an *Allocated* machine, and redeploys an ephemeral one.

    IPMI's driver power-cycles a machine that is already on.
    """
    if machine.owner is None:
        raise conflict("Can't start node: it hasn't been allocated.")
    if machine.status is Status.ALLOCATED:
        deploy(region, machine, username, {})
        return
    if machine.status is Status.DEPLOYED and machine.ephemeral_deploy:
        raise not_simulated("power_on of an ephemeral deployment, which redeploys it")
    if machine.power_type == MANUAL:
        raise not_simulated("power_on of a machine that MAAS cannot switch on")
    run = region.run_of(machine)
    if run is not None and run.silent and machine.real_power == "off":
        raise not_simulated("power_on of a machine that was switched off during an operation")
    region.said_by(machine, username, "User powering up node", last(form, "comment"))
    cycles = machine.real_power == "on" and machine.power_type == IPMI
    _check_switch(region, machine, "on", *(("off",) if cycles else ()))
    machine.power_cycles += cycles
    if run is None and (cycles or machine.real_power == "off"):
        runner.start(region, machine, LOCAL_BOOT)
    machine.switch("on")


def power_off(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Switch off; ``stop_mode`` may have any value."""
    region.said_by(machine, username, "User powering down node", last(form, "comment"))
    if machine.power_type == MANUAL:
        return
    _check_switch(region, machine, "off")
    switch_off(region, machine)


def switch_off(region: RegionState, machine: SimulatedMachine) -> None:
    """Switch the machine off. This completes a stage that waits for it. Any other operation stops unnoticed by MAAS."""
    was_on = machine.is_on
    machine.switch("off")
    run = region.run_of(machine)
    stage = None if run is None else run.stage
    if stage is not None and stage.powers_off:
        runner.start(region, machine, (Stage(stage.name, 0, on_end=stage.on_end),))
    elif was_on:
        stop_unpowered_operation(region, machine)


def stop_unpowered_operation(region: RegionState, machine: SimulatedMachine) -> None:
    """Stop the machine's operation after a power-off that MAAS does not relate to it."""
    if machine.status in FAILURE_OF:
        runner.stop_reporting(region, machine)
    else:
        region.end_run(machine)


def _check_switch(region: RegionState, machine: SimulatedMachine, state: Command, *others: Command) -> None:
    """Reject a switch that fails. With a BMC that only fails to be queried, the machine has switched all the same."""
    if (failure := region.power_failure(machine, *others, state)) is not None:
        if machine.bmc_down is not None and machine.bmc_down.mode == "no query":
            machine.bmc_state = state
        raise failure


def query_power_state(region: RegionState, machine: SimulatedMachine) -> str:
    """Query the BMC. If no rack controller can reach it, the stored state becomes ``unknown``.

    The error of a BMC changes nothing (seen in MAAS 3.7.3; its own periodic queries store ``error``).
    """
    if machine.power_type == MANUAL:
        return "unknown"
    if (failure := region.power_failure(machine, "query")) is not None:
        reached = machine.bmc_down is not None and machine.bmc_down.mode != "unroutable"
        if not (reached and region.racks[machine.rack].connected):
            machine.power_state, machine.bmc_state = "unknown", machine.real_power
        raise failure
    machine.switch(machine.real_power)
    return machine.power_state


def allocate(region: RegionState, username: str, form: Form) -> tuple[SimulatedMachine, dict[str, object]]:
    """Acquire the smallest free machine that meets all constraints; returns it with the ids for each label.

    MAAS 3.7 adds the number of CPUs and of MiB to find the smallest machine. If there is none, it composes one on a VM
    host. ``dry_run`` changes nothing.
    """
    constraints = Constraints(region, form)
    bridge_params(form)
    dry, verbose = strict_boolean(form, "dry_run"), strict_boolean(form, "verbose")
    free = (machine for machine in region.machines.values() if _is_free(machine, username))
    fitting = filter(constraints.meets, free)
    machine = min(fitting, key=lambda machine: machine.cpu_count + machine.memory, default=None)
    if machine is None and not dry:
        machine = compose(region, constraints)
    if machine is None:
        raise _none_available(constraints)
    if not dry:
        acquire(region, machine, username, form)
    return machine, constraints.found(machine) | (constraints.verbose() if verbose else {})


def _is_free(machine: SimulatedMachine, username: str) -> bool:
    return machine.status is Status.READY and machine.owner in (None, username) and not machine.locked


def _none_available(constraints: Constraints) -> Refusal:
    if not constraints.resolved:
        return conflict("No machine available.")
    if "system_id" in constraints.given:
        return conflict(f"No machine with system ID {constraints.given['system_id'][-1]} available.")
    return conflict(f"No available machine matches constraints: {constraints.text}")
