"""The stages of releasing, erasing disks, and entering and leaving rescue mode."""

from collections.abc import Mapping

from maas_simulator.model.runs import Action, Run, Stage
from maas_simulator.model.scripts import WIPE_DISKS, ScriptResult, ScriptSet
from maas_simulator.model.statuses import ScriptStatus, Status
from maas_simulator.operations.commissioning import boot, fails_by, passes
from maas_simulator.operations.lifecycles import boots_from_disk, gives_up, power, starts

POWER_OFF_FAILURE = "Node operation 'Releasing' timed out after 5 minutes."
"""Worded as MAAS 3.7 words its other time limits; this one was not recorded."""
ERASING_TAKES = 30
"""Simulated seconds."""
RESCUE_FAILURE = "Node operation 'Entering rescue mode' timed out after 30 minutes."


def released(run: Run) -> None:
    """The machine is nobody's: *Ready*, or *New* if it was never commissioned. One that was composed is deleted."""
    machine = run.machine
    if machine.composed:
        run.region.remove(machine)
        return
    run.region.set_status(machine, Status.READY if machine.known else Status.NEW)
    run.say("INFO", "Released")
    run.region.give_back(machine)


def disks_erased(run: Run) -> None:
    """The erase is over and the plain release begins, in no user's name."""
    run.say("INFO", "Disks erased")
    run.say("DEBUG", "User releasing node")
    run.region.set_status(run.machine, Status.RELEASING)
    run.say("INFO", "Releasing")
    run.machine.clear_installation()


def scripts_ended(scripts: ScriptSet) -> Action:
    """The plain release begins if no script has failed. MAAS's words for a failure nobody has recorded."""

    def act(run: Run) -> None:
        if any(result.status is ScriptStatus.FAILED for result in scripts.results):
            run.region.set_status(run.machine, Status.FAILED_RELEASING)
            run.over = True
            return
        run.say("INFO", "Release scripts executed successfully.")
        run.say("INFO", "Releasing")
        run.machine.clear_installation()

    return act


def script_stages(scripts: ScriptSet, seconds: Mapping[str, float]) -> tuple[Stage, ...]:
    """A release with scripts of these lengths; MAAS 3.7 leaves the result of the erase *Pending* for good."""
    return (
        *boot("Releasing", "Releasing"),
        *(_script_stage(result, seconds) for result in scripts.results),
        Stage("Release scripts", 0, ends=(scripts_ended(scripts),)),
        *RELEASE,
    )


def _script_stage(result: ScriptResult, seconds: Mapping[str, float]) -> Stage:
    if result.name == WIPE_DISKS:
        return Stage(WIPE_DISKS, ERASING_TAKES)
    return Stage(
        result.name,
        seconds[result.name],
        (lambda run: starts(run, result, ScriptStatus.PENDING),),
        (passes(result),),
        fails=fails_by(result),
        fatal=False,
    )


def entered_rescue(run: Run) -> None:
    """The machine can be reached."""
    run.say("INFO", "Rescue mode")
    run.region.set_status(run.machine, Status.RESCUE_MODE)


def exited_rescue(run: Run) -> None:
    """Back to the status before; a deployed machine is left running, all others are switched off."""
    machine = run.machine
    run.say("INFO", "Exited rescue mode")
    run.region.set_status(machine, machine.previous_status)
    if machine.status in (Status.READY, Status.NEW):
        run.region.give_back(machine)
    machine.switch("on" if machine.status is Status.DEPLOYED else "off")


def stays_in_rescue(run: Run, reason: str | None) -> None:
    """The machine cannot be switched off, or does not come back."""
    run.say("INFO", "Failed exiting rescue mode", reason or "")
    run.machine.error_description = reason or run.machine.error_description
    run.region.set_status(run.machine, Status.FAILED_EXITING_RESCUE_MODE)


RELEASE = (Stage("Releasing", 15, fails=gives_up(POWER_OFF_FAILURE), ends=(released,), powers_off=True),)
RELEASE_SWITCHED_OFF = (Stage("Releasing", 0, ends=(released,)),)
"""Nothing to wait for: it is over before the request is answered."""

ERASE = (
    *boot("Disk erasing", "Disk erasing"),
    Stage("Erasing", ERASING_TAKES, fails=gives_up("Failed to erase disks."), ends=(disks_erased,)),
    *RELEASE,
)

ENTER_RESCUE = (
    *boot("Entering rescue mode", "Entering rescue mode", lambda variant: variant.rescue_boot),
    Stage("Starting", 10, fails=gives_up(RESCUE_FAILURE), ends=(entered_rescue,)),
)

EXIT_RESCUE = (
    Stage(
        "Exiting rescue mode",
        15,
        fails=stays_in_rescue,
        ends=(exited_rescue,),
        powers_off=True,
    ),
)

LOCAL_BOOT = (
    Stage("Power on", 20, (power("on"),)),
    Stage("Local boot", 0, (boots_from_disk,)),
)
"""A deployed machine that is switched on again."""
