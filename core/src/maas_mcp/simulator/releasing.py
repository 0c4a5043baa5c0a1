"""The stages of releasing, erasing disks, and entering and leaving rescue mode."""

from maas_mcp.simulator.commissioning import boot
from maas_mcp.simulator.lifecycles import Run, Say, Stage, gives_up, power
from maas_mcp.simulator.statuses import Status

POWER_OFF_FAILURE = "Node operation timed out while waiting for the machine to power off."
RESCUE_FAILURE = "Node operation 'Entering rescue mode' timed out after 30 minutes."


def released(run: Run) -> None:
    """The machine is nobody's: *Ready*, or *New* if it was never commissioned. One that was composed is deleted."""
    machine = run.machine
    if machine.composed:
        run.world.remove(machine)
        return
    run.world.set_status(machine, Status.READY if machine.known else Status.NEW)
    run.say("INFO", "Released")
    run.world.give_back(machine)


def disks_erased(run: Run) -> None:
    """The erase is over and the plain release begins, in no user's name."""
    run.say("INFO", "Disks erased")
    run.say("DEBUG", "User releasing node")
    run.world.set_status(run.machine, Status.RELEASING)
    run.say("INFO", "Releasing")
    run.machine.clear_installation()


def entered_rescue(run: Run) -> None:
    """The machine can be reached."""
    run.say("INFO", "Rescue mode")
    run.world.set_status(run.machine, Status.RESCUE_MODE)


def exited_rescue(run: Run) -> None:
    """Back to the status before; a deployed machine is left running, all others are switched off."""
    machine = run.machine
    run.say("INFO", "Exited rescue mode")
    run.world.set_status(machine, machine.previous_status)
    if machine.status in (Status.READY, Status.NEW):
        run.world.give_back(machine)
    machine.power_state = "on" if machine.status is Status.DEPLOYED else "off"


RELEASE = (Stage("Releasing", 15, fails=gives_up(POWER_OFF_FAILURE), ends=(released,)),)
RELEASE_SWITCHED_OFF = (Stage("Releasing", 0, ends=(released,)),)
"""Nothing to wait for: it is over before the request is answered."""

ERASE = (
    *boot("Disk erasing", "Disk erasing"),
    Stage("Erasing", 30, fails=gives_up("Failed to erase disks."), ends=(disks_erased,)),
    Stage("Releasing", 15, fails=gives_up(POWER_OFF_FAILURE), ends=(released,)),
)

ENTER_RESCUE = (
    *boot("Entering rescue mode", "Entering rescue mode"),
    Stage("Starting", 10, fails=gives_up(RESCUE_FAILURE), ends=(entered_rescue,)),
)

EXIT_RESCUE = (Stage("Exiting rescue mode", 15, fails=gives_up(POWER_OFF_FAILURE), ends=(exited_rescue,)),)

LOCAL_BOOT = (
    Stage("Power on", 20, (power("on"),)),
    Stage("Local boot", 0, (Say("DEBUG", "PXE Request", "local boot"), Say("INFO", "Performing PXE boot"))),
)
"""A deployed machine that is switched on again."""
