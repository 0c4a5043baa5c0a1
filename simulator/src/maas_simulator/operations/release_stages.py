"""The stages of releasing, of erasing disks, and of entering and leaving rescue mode."""

from maas_simulator.model.built_in_scripts import WIPE_DISKS, script_of
from maas_simulator.model.interfaces import release_addresses
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.scripts import ScriptResult, ScriptSet
from maas_simulator.model.statuses import ScriptStatus, Status
from maas_simulator.operations.commissioning_stages import boot_stages, fail_script, pass_script
from maas_simulator.operations.stage_actions import add_local_boot_events, fail_with, set_power, start_script
from maas_simulator.state import Action, RegionState, Run, Stage

POWER_OFF_FAILURE = "Node operation 'Releasing' timed out after 5 minutes."
"""Worded like MAAS 3.7's other timeouts; this one was not recorded."""
ERASE_SECONDS = 30
"""Simulated seconds."""
RESCUE_FAILURE = "Failed to enter rescue mode."


def complete_release(region: RegionState, machine: SimulatedMachine) -> None:
    """Complete a release: *Ready*, or *New* if never commissioned. A composed machine is deleted."""
    if machine.composed:
        region.remove(machine)
        return
    region.set_status(machine, Status.READY if machine.known else Status.NEW)
    region.say(machine, "INFO", "Released")
    region.give_back(machine)


def finish_release(run: Run) -> None:
    """Complete a release when the machine is off."""
    complete_release(run.region, run.machine)


def stop_using_address(run: Run) -> None:
    """Give back the address of a deployment."""
    release_addresses(run.region.tables, run.machine)


def finish_erase(run: Run) -> None:
    """Complete the erase and start the plain release, without a user's name."""
    run.say("INFO", "Disks erased")
    run.say("DEBUG", "User releasing node")
    run.region.set_status(run.machine, Status.RELEASING)
    run.say("INFO", "Releasing")
    run.machine.clear_installation()


def finish_scripts(scripts: ScriptSet) -> Action:
    """Start the plain release if no script has failed. MAAS's message for a failure was not recorded."""

    def act(run: Run) -> None:
        if any(result.status is ScriptStatus.FAILED for result in scripts.results):
            run.region.set_status(run.machine, Status.FAILED_RELEASING)
            run.over = True
            return
        run.say("INFO", "Release scripts executed successfully.")
        run.say("INFO", "Releasing")
        run.machine.clear_installation()

    return act


def script_stages(scripts: ScriptSet) -> tuple[Stage, ...]:
    """The stages of a release with scripts. MAAS 3.7 leaves the result of the erase *Pending*."""
    return (
        *boot_stages("Releasing", "Releasing"),
        *map(_script_stage, scripts.results),
        Stage("Release scripts", 0, on_end=(finish_scripts(scripts),)),
        *RELEASE,
    )


def _script_stage(result: ScriptResult) -> Stage:
    if result.name == WIPE_DISKS:
        return Stage(WIPE_DISKS, ERASE_SECONDS)
    return Stage(
        result.name,
        script_of(result)["seconds"],
        (lambda run: start_script(run, result, ScriptStatus.PENDING),),
        (pass_script(result),),
        on_failure=fail_script(result),
        fatal=False,
    )


def finish_entering_rescue(run: Run) -> None:
    """Complete entering rescue mode."""
    run.say("INFO", "Rescue mode")
    run.region.set_status(run.machine, Status.RESCUE_MODE)


def finish_exiting_rescue(run: Run) -> None:
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


RELEASE = (Stage("Releasing", 15, on_failure=fail_with(POWER_OFF_FAILURE), on_end=(finish_release,), powers_off=True),)
SWITCH_OFF = (Stage("Releasing", 4, on_end=(stop_using_address, set_power("off")), powers_off=True),)
"""A machine that was marked broken while it was on: its release loses only the power and the address."""
RELEASE_SWITCHED_OFF = (Stage("Releasing", 0, on_end=(finish_release,)),)
"""The release of a machine that is off. It completes before the response."""

ERASE = (
    *boot_stages("Disk erasing", "Disk erasing"),
    Stage("Erasing", ERASE_SECONDS, on_failure=fail_with("Failed to erase disks."), on_end=(finish_erase,)),
    *RELEASE,
)

ENTER_RESCUE = (
    *boot_stages("Entering rescue mode", "Entering rescue mode", lambda variant: variant.rescue_boot),
    Stage("Starting", 10, on_failure=fail_with(RESCUE_FAILURE), on_end=(finish_entering_rescue,)),
)

EXIT_RESCUE = (
    Stage(
        "Exiting rescue mode",
        15,
        on_failure=fail_exiting_rescue,
        on_end=(finish_exiting_rescue,),
        powers_off=True,
    ),
)

LOCAL_BOOT = (
    Stage("Power on", 20, (set_power("on"),)),
    Stage("Local boot", 0, (add_local_boot_events,)),
)
"""A deployed machine is switched on again."""
