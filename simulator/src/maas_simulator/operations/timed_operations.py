"""Operations that take time: the checks and changes within the request, and the start of the run."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from maas_simulator.model.built_in_scripts import WIPE_DISKS
from maas_simulator.model.disks import PHYSICAL
from maas_simulator.model.forms import Form, bridge_params, image, kernel, last, loose_boolean, strict_boolean
from maas_simulator.model.interfaces import add_bridges, clear_links, interfaces, ip_addresses, is_linked
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.power import NO_TASK_QUEUE
from maas_simulator.model.refusals import Refusal, conflict, invalid
from maas_simulator.model.scripts import SetType
from maas_simulator.model.statuses import Status
from maas_simulator.model.storage import clear_layout, storage_of
from maas_simulator.operations import runner, vm_hosts
from maas_simulator.operations.addresses import assign_addresses
from maas_simulator.operations.commissioning_stages import commission_stages, test_stages
from maas_simulator.operations.deployment_stages import HARDWARE_SYNC, TO_DISK, TO_MEMORY, TO_VM_HOST
from maas_simulator.operations.new_results import add_set, chosen_scripts, chosen_tests, commissioning_set
from maas_simulator.operations.release_stages import (
    ENTER_RESCUE,
    ERASE,
    EXIT_RESCUE,
    RELEASE,
    RELEASE_SWITCHED_OFF,
    script_stages,
)
from maas_simulator.operations.stage_actions import abort_scripts
from maas_simulator.state import RegionState

WIPE_OPTIONS: Final = ("secure_erase", "quick_erase")
STAGES_DURING_RELEASE: Final = 2
"""How many more stages a deploying machine starts while it is released (recorded in MAAS 3.7.3)."""

Operate = Callable[[RegionState, SimulatedMachine, str, Form], None]
"""An operation on a machine by a user, given by name. It is carried out on return, or raises a ``Refusal``."""

ABORTS: Final[Mapping[Status, tuple[str, str, Status | None]]] = {
    Status.DEPLOYING: ("User aborting deployment", "Aborted deployment", Status.ALLOCATED),
    Status.COMMISSIONING: ("User aborting node commissioning", "Aborted commissioning", Status.NEW),
    Status.TESTING: ("User aborting node testing", "Aborted testing", None),
    Status.DISK_ERASING: ("User aborting disk erase", "Aborted disk erasing", Status.FAILED_DISK_ERASING),
}
"""The statuses of operations that can be aborted, with the types of both events, and the status that follows: None is
the status before the operation."""


def acquire(region: RegionState, machine: SimulatedMachine, username: str, form: Form = MappingProxyType({})) -> None:
    """Make the user the owner of a *Ready* machine: *Allocated*."""
    region.said_by(machine, username, "User acquiring node", last(form, "comment"))
    machine.owner, machine.agent_name = username, last(form, "agent_name")
    if (params := bridge_params(form)) is not None:
        add_bridges(region.tables, machine, params)
    region.set_status(machine, Status.ALLOCATED)


def deploy(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Deploy, and acquire the machine first if it is *Ready*.

    MAAS 3.7 notices a failing BMC only after the response, but checks for a disconnected rack controller first.
    """
    bridge_params(form)
    in_memory, syncs = strict_boolean(form, "ephemeral_deploy"), strict_boolean(form, "enable_hw_sync")
    hosts = _becomes_vm_host(region, username, form, in_memory=in_memory)
    if machine.status is Status.READY and machine.owner not in (None, username):
        raise conflict("Can't allocate a machine belonging to another user.")
    chosen = image(form, region.images.names)
    boots = kernel(form, chosen, machine.architecture)
    _check_configured(region, machine, in_memory=in_memory)
    unroutable = machine.bmc_down is not None and machine.bmc_down.mode == "unroutable"
    if unroutable or not region.racks[machine.rack].connected:
        raise Refusal(500, NO_TASK_QUEUE.format(machine.system_id))
    if machine.status is Status.READY:
        acquire(region, machine, username, form)
    machine.osystem, _, machine.distro_series = chosen.partition("/")
    machine.hwe_kernel, machine.ephemeral_deploy, machine.enable_hw_sync = boots, in_memory, syncs
    machine.enable_kernel_crash_dump = loose_boolean(form, "enable_kernel_crash_dump")
    machine.netboot, machine.status_action = True, ""
    assign_addresses(region, machine)
    region.said_by(machine, username, "User starting deployment", last(form, "comment"))
    if not in_memory:
        region.new_set(machine, SetType.INSTALLATION, [region.new_result(machine)])
    region.set_status(machine, Status.DEPLOYING)
    region.say(machine, "INFO", "Deploying")
    stages = TO_MEMORY if in_memory else TO_VM_HOST if hosts else TO_DISK
    runner.start(region, machine, (*stages, HARDWARE_SYNC) if syncs else stages)


def commission(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Commission and test. Meanwhile the machine belongs to the caller."""
    wanted = chosen_tests(region, machine, form)
    chosen_scripts(region, form, "commissioning_scripts", SetType.COMMISSIONING)
    before, machine.previous_status = machine.status, machine.status
    region.said_by(machine, username, "User starting node commissioning")
    region.say(machine, "INFO", "Commissioning")
    scripts = commissioning_set(region, machine, form)
    testing = add_set(region, machine, SetType.TESTING, wanted, form)
    machine.owner, machine.status_action = username, ""
    # MAAS 3.7 removes the layout of disks and NICs at once; the scripts' findings restore it.
    machine.skip_networking, machine.skip_storage = (
        loose_boolean(form, name) for name in ("skip_networking", "skip_storage")
    )
    if not machine.skip_networking:
        clear_links(region.tables, machine)
    if not machine.skip_storage:
        clear_layout(machine)
    machine.enable_ssh = loose_boolean(form, "enable_ssh")
    region.set_status(machine, Status.COMMISSIONING)
    runner.start_or_revert(
        region,
        machine,
        commission_stages(scripts, testing if wanted else None),
        before,
        machine.restart,
        warns=username,
    )


def test(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Run tests only. A deployed machine is booted out of its system for them."""
    wanted = chosen_tests(region, machine, form)
    if not wanted:
        raise Refusal(400, "No testing scripts found!")
    if machine.status is Status.DEPLOYED and any(script["destructive"] for script in wanted):
        raise invalid("testing_scripts", "Destructive tests may only be run on undeployed machines.")
    before, machine.previous_status = machine.status, machine.status
    region.said_by(machine, username, "User starting node testing")
    region.say(machine, "INFO", "Testing")
    machine.owner, machine.status_action = machine.owner or username, ""
    machine.enable_ssh = loose_boolean(form, "enable_ssh")
    if any(script["apply_configured_networking"] for script in wanted) and not machine.addressed:
        assign_addresses(region, machine)
    testing = add_set(region, machine, SetType.TESTING, wanted, form)
    region.set_status(machine, Status.TESTING)
    runner.start_or_revert(region, machine, test_stages(testing, before), before, machine.restart, warns=username)


def release(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Release, and erase first if the request or a setting asks for it. Ignores *Ready* and *Releasing* machines."""
    if machine.status in (Status.READY, Status.RELEASING):
        return
    chosen = chosen_scripts(region, form, "scripts", SetType.RELEASE) if "scripts" in form else []
    scripts = [script["name"] for script in chosen]
    if loose_boolean(form, "force"):
        vm_hosts.remove(region, machine)
    if machine.is_vm_host:
        raise Refusal(400, f"The following VM hosts must be removed first: {machine.hostname}")
    if _count_erase_reasons(region, form):
        scripts = [*(name for name in scripts if name != WIPE_DISKS), WIPE_DISKS]
    if scripts:
        _release_by_scripts(region, machine, username, form, scripts)
        return
    before = machine.status
    region.said_by(machine, username, "User releasing node", last(form, "comment"))
    start_releasing(region, machine)
    if machine.is_on:
        runner.start_or_revert(region, machine, RELEASE, before, ["off"])
    else:
        runner.start(region, machine, RELEASE_SWITCHED_OFF)


def start_releasing(region: RegionState, machine: SimulatedMachine) -> None:
    """Begin a release. A machine that is on goes on until it is switched off."""
    region.set_status(machine, Status.RELEASING)
    region.say(machine, "INFO", "Releasing")
    if (run := region.run_of(machine)) is not None and machine.is_on:
        run.run_late_stages(STAGES_DURING_RELEASE)
    machine.clear_installation()
    machine.status_action = ""


def abort(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Abort the operation and switch the machine off. Until it is off, the machine continues and adds events.

    MAAS 3.7: if switching off fails, a deployment continues without a time limit.
    """
    run = region.run_of(machine)
    if (failure := region.power_failure(machine, "off")) is not None:
        if run is not None:
            run.timed = False
        raise failure
    by_user, aborted, following = ABORTS[machine.status]
    region.said_by(machine, username, by_user, last(form, "comment"))
    region.say(machine, "INFO", aborted)
    if run is not None:
        run.run_late_stages()
    region.end_run(machine)
    abort_scripts(region, machine)
    machine.switch("off")
    region.leave_in(machine, machine.previous_status if following is None else following)


def rescue_mode(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Boot into rescue mode. MAAS 3.7 makes the user the owner, and ignores a ``comment``."""
    del form
    before = machine.status
    if before is not Status.ENTERING_RESCUE_MODE:
        machine.previous_status = before
    region.said_by(machine, username, "User starting rescue mode")
    machine.owner, machine.status_action = username, ""
    region.set_status(machine, Status.ENTERING_RESCUE_MODE)
    region.say(machine, "INFO", "Entering rescue mode")
    runner.start_or_revert(region, machine, ENTER_RESCUE, before, machine.restart)


def exit_rescue_mode(region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
    """Leave rescue mode for the previous status."""
    before, restarts = machine.status, machine.previous_status is Status.DEPLOYED
    region.said_by(machine, username, "User stopping rescue mode", last(form, "comment"))
    region.set_status(machine, Status.EXITING_RESCUE_MODE)
    if machine.is_on or restarts:
        runner.start_or_revert(region, machine, EXIT_RESCUE, before, machine.restart if restarts else ["off"])
    else:
        runner.start(region, machine, EXIT_RESCUE)


def _check_configured(region: RegionState, machine: SimulatedMachine, *, in_memory: bool) -> None:
    """Reject a deployment without a network or without a storage layout."""
    nics = interfaces(region.tables, machine)
    if not machine.known or not (is_linked(nics) or ip_addresses(nics)):
        raise invalid("network", "Node must be configured to use a network")
    if not is_linked(nics):
        # the state after a commissioning that could not switch the machine on
        raise invalid("network", "Node has no address family in common with the server")
    storage = storage_of(machine)
    issues = [] if storage.of_type(PHYSICAL) else ["Specify a storage device to be able to deploy this node."]
    if storage.mounted_at("/") is None:
        issues.append("Mount the root '/' filesystem to be able to deploy this node.")
    if issues and not in_memory:
        raise invalid("storage", *issues)


def _becomes_vm_host(region: RegionState, username: str, form: Form, *, in_memory: bool) -> bool:
    """Whether the machine becomes a VM host."""
    if strict_boolean(form, "install_rackd"):
        raise Refusal(
            400, "install_rackd is no longer supported (MAAS 3.6 and newer reject it; the wording is the simulator's)."
        )
    hosts = strict_boolean(form, "install_kvm") or strict_boolean(form, "register_vmhost")
    if hosts and not region.users[username].is_superuser:
        raise Refusal(403, "Only administratros can deploy VM hosts")  # MAAS 3.7's own spelling
    if hosts and in_memory:
        raise Refusal(400, "A machine can not be a VM host if it is deployed to memory.")
    return hosts


def _release_by_scripts(
    region: RegionState, machine: SimulatedMachine, username: str, form: Form, names: list[str]
) -> None:
    """Release with scripts: *Disk erasing* for an erase alone, *Releasing* otherwise. MAAS 3.7 adds no INFO event.

    A requested erase counts as two scripts if the setting erases on every release.
    """
    before, machine.previous_status = machine.status, machine.status
    reasons = _count_erase_reasons(region, form)
    erases = names == [WIPE_DISKS] and reasons <= 1
    asked = "User erasing disk" if erases else "User releasing node"
    region.said_by(machine, username, asked, last(form, "comment"))
    options = {f"{WIPE_DISKS}_{name}": [str(loose_boolean(form, name))] for name in WIPE_OPTIONS} if reasons else {}
    chosen = map(region.tables["Script"].get_named, names)
    scripts = add_set(region, machine, SetType.RELEASE, chosen, {**form, **options})
    region.set_status(machine, Status.DISK_ERASING if erases else Status.RELEASING)
    stages = ERASE if erases else script_stages(scripts)
    runner.start_or_revert(region, machine, stages, before, machine.restart)


def _count_erase_reasons(region: RegionState, form: Form) -> int:
    """Count the reasons to erase the disks: the request and the setting."""
    asked = any(loose_boolean(form, name) for name in ("erase", *WIPE_OPTIONS))
    return asked + bool(region.settings["enable_disk_erasing_on_release"])
