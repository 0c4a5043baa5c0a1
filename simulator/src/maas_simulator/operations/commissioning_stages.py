"""The stages of commissioning and testing: booting, then one stage for every script."""

import math
from collections.abc import Callable, Iterator

from maas_simulator.model.built_in_scripts import script_of
from maas_simulator.model.interfaces import configure_interfaces
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.scripts import ScriptResult, ScriptSet
from maas_simulator.model.statuses import ScriptStatus, Status, after_tests
from maas_simulator.model.storage import apply_layout
from maas_simulator.model.variants import Variant
from maas_simulator.operations.stage_actions import (
    NO_REPORT,
    add_cloud_init_events,
    add_event,
    add_pxe_events,
    change_script_status,
    fail_with,
    finish_script,
    set_power,
    start_script,
)
from maas_simulator.state import Action, RegionState, Run, Stage

KVM_TAG = "kvm-capable"
LAYOUT_SCRIPT = "50-maas-01-commissioning"
"""The script that reports the hardware. After it passes, MAAS lays out disks and NICs."""

EPHEMERAL_BOOTS = add_cloud_init_events(
    "searching for local datasources", "searching for network datasources", "running modules for config"
)
"""The cloud-init events of the ephemeral environment (recorded in MAAS 3.7.3 for commissioning and deploying)."""

SWITCHING_OFF = 10.0
"""Seconds that a machine still runs while it is switched off."""

DEPENDENCY_SECONDS = 4
"""Simulated seconds to install a script's packages."""

PAUSE = Stage("", 1)
"""The moment between two scripts, in which their set is *Pending* again."""


def boot_stages(
    first: str, operation: str, purpose: Callable[[Variant], str] = lambda _: "commissioning"
) -> tuple[Stage, ...]:
    """The stages of booting the ephemeral environment. MAAS gives its purpose as ``commissioning`` in most cases."""
    on_failure = fail_with(f"Node operation '{operation}' timed out after 30 minutes.")
    return (
        Stage(first, 20, (set_power("on"),), on_failure=on_failure),
        Stage(
            "Performing PXE boot",
            40,
            (lambda run: add_pxe_events(run, purpose(run.region.variant)),),
            on_failure=on_failure,
            may_run_late=SWITCHING_OFF,
        ),
        Stage("Loading ephemeral", 50, (add_event("INFO", "Loading ephemeral"),), on_failure=on_failure),
    )


def commission_stages(commissioning: ScriptSet, testing: ScriptSet | None) -> tuple[Stage, ...]:
    """The stages of commissioning: about four minutes, and twenty seconds per tested disk."""
    stages = [
        *boot_stages("Commissioning", "Commissioning"),
        Stage(
            "Gathering information",
            5,
            (EPHEMERAL_BOOTS, add_event("INFO", "Gathering information")),
            on_failure=fail_with(NO_REPORT),
        ),
        *(
            stage
            for result in commissioning.results
            if result.status is ScriptStatus.PENDING
            for stage in _script_stages(result)
        ),
        Stage("Commissioned", 0, on_end=(lambda run: _end_commissioning(run, commissioning, testing),)),
    ]
    if testing is not None:
        stages.append(PAUSE)
        stages += _test_run(testing, Status.READY)
    return tuple(stages)


def test_stages(testing: ScriptSet, before: Status) -> tuple[Stage, ...]:
    """The stages of testing alone; ``before`` is the status before the tests."""
    return (*boot_stages("Testing", "Testing"), *_test_run(testing, after_tests(before)))


def script_stage(
    result: ScriptResult, *before: Action, status: ScriptStatus = ScriptStatus.PENDING, may_run_late: float = 0.0
) -> Stage:
    """The stage in which a script runs; ``status`` is the script's status before it, as in its event."""
    return Stage(
        result.label,
        script_of(result)["seconds"],
        (*before, lambda run: start_script(run, result, status)),
        (lambda run: _pass_script(run, result),),
        on_failure=lambda run, reason: _fail_script(run, result, reason),
        fatal=False,
        alias=result.name,
        may_run_late=may_run_late,
    )


def _script_stages(result: ScriptResult) -> Iterator[Stage]:
    dependencies = ScriptStatus.INSTALLING_DEPENDENCIES
    if script_of(result)["packages"]:
        yield Stage("", DEPENDENCY_SECONDS, (lambda run: change_script_status(run, result, dependencies),))
        yield script_stage(result, status=dependencies)
    else:
        yield script_stage(result)
    yield PAUSE


def _test_run(testing: ScriptSet, leads_to: Status) -> Iterator[Stage]:
    """The tests. MAAS 3.7 adds no event for their change from *Pending* to *Installing dependencies*."""
    before = ScriptStatus.INSTALLING_DEPENDENCIES
    for result in testing.results:
        announce = add_event("INFO", "Running test", result.label)
        yield script_stage(result, announce, status=before, may_run_late=math.inf)
        yield PAUSE
    yield Stage("Tested", 0, on_end=(lambda run: _end_testing(run, testing, leads_to),))


def _pass_script(run: Run, result: ScriptResult) -> None:
    """End a script with exit status 0."""
    if result.name == LAYOUT_SCRIPT:
        _store_hardware(run.region, run.machine)
        _add_automatic_tags(run)
    result.output += f"{result.name}: no problems found on {run.machine.hostname}\n"
    finish_script(run, result, ScriptStatus.PASSED)


def _fail_script(run: Run, result: ScriptResult, reason: str | None) -> None:
    """End a script with exit status 1. The last line of its output is the planned reason."""
    result.output += f"{result.name} on {run.machine.hostname}\nERROR: {reason or 'check failed'}\n"
    finish_script(run, result, ScriptStatus.FAILED)


def _store_hardware(region: RegionState, machine: SimulatedMachine) -> None:
    """Store the network and the disks that the machine reports, without links or layout if it skips these."""
    was_known = machine.known
    configure_interfaces(region.tables, machine)
    if machine.skip_storage:
        machine.laid_out = machine.laid_out and was_known
    else:
        apply_layout(region.tables, machine, str(region.settings["default_storage_layout"]))


def _add_automatic_tags(run: Run) -> None:
    """Add the tags by which MAAS marks hardware: here ``kvm-capable`` for amd64, if there is this tag."""
    machine, exists = run.machine, run.region.tables["Tag"].named(KVM_TAG) is not None
    if exists and machine.architecture.startswith("amd64") and KVM_TAG not in machine.tag_names:
        machine.tag_names = (KVM_TAG, *machine.tag_names)


def _end_commissioning(run: Run, commissioning: ScriptSet, testing: ScriptSet | None) -> None:
    if commissioning.status is not ScriptStatus.PASSED:
        if testing is not None:
            testing.abort()
        run.say("INFO", "Failed commissioning")
        run.region.set_status(run.machine, Status.FAILED_COMMISSIONING)
        run.region.give_back(run.machine)
        run.machine.switch("on")
        run.end_with(Stage("", 5, on_end=(set_power("off"),)))
    elif testing is None:
        _end_with_status(run, Status.READY)
    else:
        run.region.set_status(run.machine, Status.TESTING)
        run.machine.previous_status = Status.READY


def _end_testing(run: Run, testing: ScriptSet, leads_to: Status) -> None:
    if testing.status is ScriptStatus.PASSED:
        _end_with_status(run, leads_to)
        return
    run.say("INFO", "Failed testing")
    run.region.set_status(run.machine, Status.FAILED_TESTING)
    _switch_after_scripts(run.machine)


def _end_with_status(run: Run, status: Status) -> None:
    """Change the status. Only *Ready* has its own INFO event, which comes before the change."""
    if status is Status.READY:
        run.say("INFO", "Ready")
    run.region.leave_in(run.machine, status, keeps_address=run.machine.enable_ssh)
    _switch_after_scripts(run.machine)


def _switch_after_scripts(machine: SimulatedMachine) -> None:
    """Switch the machine off, unless ``enable_ssh`` keeps it on for the user."""
    machine.switch("on" if machine.enable_ssh else "off")
