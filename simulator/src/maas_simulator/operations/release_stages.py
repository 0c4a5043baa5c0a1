"""The stages of releasing, of erasing disks, and of entering and leaving rescue mode."""

from maas_simulator.model.built_in_scripts import WIPE_DISKS
from maas_simulator.model.interfaces import release_addresses
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.scripts import ScriptSet
from maas_simulator.model.statuses import ScriptStatus, Status
from maas_simulator.operations.commissioning_stages import boot_stages, script_stage
from maas_simulator.operations.stage_actions import add_event, add_local_boot_events, fail_with, set_power, set_status
from maas_simulator.state import RegionState, Run, Stage

POWER_OFF_FAILURE = "Node operation 'Releasing' timed out after 5 minutes."
"""Worded like MAAS 3.7's other timeouts; this one was not recorded."""
ERASE_SECONDS = 30
"""Simulated seconds."""


def complete_release(region: RegionState, machine: SimulatedMachine) -> None:
    """Complete a release: *Ready*, or *New* if never commissioned. A composed machine is deleted."""
    if machine.composed:
        region.remove(machine)
        return
    region.set_status(machine, Status.READY if machine.known else Status.NEW)
    region.say(machine, "INFO", "Released")
    region.give_back(machine)


def _finish_release(run: Run) -> None:
    complete_release(run.region, run.machine)


def _start_plain_release(run: Run) -> None:
    run.say("INFO", "Releasing")
    run.machine.clear_installation()


def _finish_scripts(run: Run, scripts: ScriptSet) -> None:
    """Start the plain release if no script has failed. MAAS's message for a failure was not recorded."""
    if any(result.status is ScriptStatus.FAILED for result in scripts.results):
        run.region.set_status(run.machine, Status.FAILED_RELEASING)
        run.over = True
        return
    run.say("INFO", "Release scripts executed successfully.")
    _start_plain_release(run)


def script_stages(scripts: ScriptSet) -> tuple[Stage, ...]:
    """The stages of a release with scripts. MAAS 3.7 leaves the result of the erase *Pending*."""
    erase = Stage(WIPE_DISKS, ERASE_SECONDS)
    return (
        *boot_stages("Releasing", "Releasing"),
        *(erase if result.name == WIPE_DISKS else script_stage(result) for result in scripts.results),
        Stage("Release scripts", 0, on_end=(lambda run: _finish_scripts(run, scripts),)),
        *RELEASE,
    )


def _finish_exiting_rescue(run: Run) -> None:
    """Return to the previous status. A deployed machine stays on; all others are switched off."""
    machine = run.machine
    run.say("INFO", "Exited rescue mode")
    machine.status_action = ""
    run.region.leave_in(machine, machine.previous_status)
    machine.switch("on" if machine.status is Status.DEPLOYED else "off")


def fail_exiting_rescue(run: Run, reason: str | None) -> None:
    """Fail to leave rescue mode: the machine cannot be switched off, or does not come back."""
    run.say("INFO", "Failed exiting rescue mode", reason or "")
    run.machine.error_description = reason or run.machine.error_description
    run.region.set_status(run.machine, Status.FAILED_EXITING_RESCUE_MODE)


RELEASE = (Stage("Releasing", 15, on_failure=fail_with(POWER_OFF_FAILURE), on_end=(_finish_release,), powers_off=True),)
SWITCH_OFF = (
    Stage(
        "Releasing",
        4,
        on_end=(lambda run: release_addresses(run.region.tables, run.machine), set_power("off")),
        powers_off=True,
    ),
)
"""A machine that was marked broken while it was on: its release loses only the power and the address."""
RELEASE_SWITCHED_OFF = (Stage("Releasing", 0, on_end=(_finish_release,)),)
"""The release of a machine that is off. It completes before the response."""

ERASE = (
    *boot_stages("Disk erasing", "Disk erasing"),
    Stage(
        "Erasing",
        ERASE_SECONDS,
        on_failure=fail_with("Failed to erase disks."),
        on_end=(
            add_event("INFO", "Disks erased"),
            add_event("DEBUG", "User releasing node"),  # without a user
            set_status(Status.RELEASING),
            _start_plain_release,
        ),
    ),
    *RELEASE,
)

ENTER_RESCUE = (
    *boot_stages("Entering rescue mode", "Entering rescue mode", lambda variant: variant.rescue_boot),
    Stage(
        "Starting",
        10,
        on_failure=fail_with("Failed to enter rescue mode."),
        on_end=(add_event("INFO", "Rescue mode"), set_status(Status.RESCUE_MODE)),
    ),
)

EXIT_RESCUE = (
    Stage("Exiting rescue mode", 15, on_failure=fail_exiting_rescue, on_end=(_finish_exiting_rescue,), powers_off=True),
)

LOCAL_BOOT = (Stage("Power on", 20, (set_power("on"),)), Stage("Local boot", 0, (add_local_boot_events,)))
"""A deployed machine is switched on again."""
