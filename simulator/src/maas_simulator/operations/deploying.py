"""The stages of a deployment, to disk with curtin or to memory."""

from dataclasses import replace

from maas_simulator.model.power import BMC_FAILURE
from maas_simulator.model.runs import Action, Run, Stage
from maas_simulator.model.scripts import SetType
from maas_simulator.model.statuses import ScriptStatus, Status
from maas_simulator.operations.commissioning import EPHEMERAL_BOOTS, PAUSE
from maas_simulator.operations.lifecycles import (
    CURTIN_FAILURE,
    DEPLOY_TIMEOUT,
    Say,
    boots_by_network,
    boots_from_disk,
    cloud_init,
    doing,
    finish,
    gives_up,
    mark_failed,
    power,
    starts,
)

PENDING, RUNNING, PASSED, FAILED = (
    ScriptStatus.PENDING,
    ScriptStatus.RUNNING,
    ScriptStatus.PASSED,
    ScriptStatus.FAILED,
)


def curtin(step: str, description: str, *details: str) -> tuple[Action, ...]:
    """The actions of a curtin step: its DEBUG event, ``status_action``, and its lines in the installation log."""

    def log(run: Run) -> None:
        scripts = run.region.current_set(run.machine, SetType.INSTALLATION)
        if scripts is not None:
            lines = (f"start: cmd-install/{step}: {description}", *details)
            scripts.results[0].output += "".join(f"{line}\n" for line in lines)

    return Say("DEBUG", "Node installation", f"'curtin' {description}"), doing(f"cmd-install/{step}"), log


def install_log_starts(run: Run) -> None:
    """Start the installation log, which is the installation's only script result."""
    scripts = run.region.current_set(run.machine, SetType.INSTALLATION)
    if scripts is not None:
        starts(run, scripts.results[0], PENDING)


def install_log_passes(run: Run) -> None:
    """Finish the installation log."""
    scripts = run.region.current_set(run.machine, SetType.INSTALLATION)
    if scripts is not None:
        scripts.results[0].output += "curtin: Installation finished.\n"
        finish(run, scripts.results[0], PASSED)


def netboot_ends(run: Run) -> None:
    """Let the machine boot from its disk from now on. Curtin requests this in its last step."""
    run.machine.netboot = False


def curtin_fails(run: Run, reason: str | None) -> None:
    """Fail curtin. A planned reason ends the log and replaces MAAS's general message."""
    run.say("ERROR", "Node installation failure", "'curtin' curtin command install")
    scripts = run.region.current_set(run.machine, SetType.INSTALLATION)
    if scripts is not None:
        result = scripts.results[0]
        result.output += (
            f"{reason or 'E: Unable to locate package linux-generic'}\n"
            "Unexpected error while running command.\nExit code: 100\ncurtin: Installation failed with exception\n"
        )
        finish(run, result, FAILED)
    mark_failed(run, reason or CURTIN_FAILURE)
    run.say("DEBUG", "Node status event", "'cloudinit' running modules for final")
    run.machine.status_action = "mark_failed"


def late_commands_fail(run: Run, reason: str | None) -> None:
    """Fail curtin at its last step, which the event names. Failures in earlier steps were recorded without names."""
    run.say("ERROR", "Node installation failure", "'curtin' executing late commands")
    curtin_fails(run, reason)


def deployed(run: Run) -> None:
    """Mark the machine as deployed when the installed system reports in."""
    machine = run.machine
    image = f"{machine.osystem}/{machine.distro_series}/{machine.architecture}"
    run.region.image_deployed(machine)
    run.say("INFO", "Image Deployed", f"deployed {image}")
    run.region.set_status(machine, Status.DEPLOYED)
    run.say("INFO", "Deployed")
    cloud_init("searching for local datasources", "running modules for final")(run)


def timed_out(run: Run, reason: str | None) -> None:
    """Fail a deployment whose machine stopped reporting."""
    gives_up(DEPLOY_TIMEOUT)(run, reason)
    run.machine.status_action = "mark_failed"


def cloud_init_fails(run: Run, reason: str | None) -> None:
    """Fail the setup of the ephemeral environment, before curtin starts."""
    run.say("ERROR", "Node installation failure", "'cloudinit' running modules for config")
    timed_out(run, reason or CURTIN_FAILURE)


def becomes_vm_host(run: Run) -> None:
    """Make the machine a VM host."""
    run.machine.is_vm_host = True


BOOT = (
    Stage("Deploying", 20, fails=gives_up(BMC_FAILURE)),
    Stage("Power on", 40, (power("on"),), fails=timed_out),
    Stage(
        "Performing PXE boot",
        20,
        (lambda run: boots_by_network(run, "installation"),),
        fails=timed_out,
    ),
    Stage("Loading ephemeral", 85, (Say("INFO", "Loading ephemeral"),), fails=timed_out),
    Stage("cloud-init", 5, ends=(EPHEMERAL_BOOTS,), fails=cloud_init_fails),
)

TO_DISK = (
    *BOOT,
    Stage(
        "Preparing",
        10,
        (
            Say("DEBUG", "Node installation", "'curtin' curtin command install"),
            install_log_starts,
            *curtin("stage-early", "preparing for installation"),
            doing(""),
        ),
        fails=curtin_fails,
    ),
    Stage(
        "Configuring storage",
        30,
        (
            Say("INFO", "Configuring storage"),
            *curtin(
                "stage-partitioning",
                "configuring storage",
                "wiping superblock on /dev/sda",
                "creating gpt partition table and ext4 filesystem on /dev/sda",
            ),
        ),
        fails=curtin_fails,
        also_late=True,
    ),
    Stage(
        "Installing OS",
        240,
        (
            Say("INFO", "Installing OS"),
            *curtin(
                "stage-extract",
                "writing install sources to disk",
                "acquiring and extracting image from cp:///media/root-ro",
            ),
        ),
        fails=curtin_fails,
        also_late=True,
    ),
    Stage(
        "Configuring OS",
        60,
        (
            Say("INFO", "Configuring OS"),
            *curtin(
                "stage-curthooks",
                "configuring installed system",
                "Running command ['chroot', '/target', 'apt-get', 'install', 'linux-generic']",
            ),
        ),
        fails=curtin_fails,
        also_late=True,
    ),
    Stage(
        "Late commands",
        10,
        (Say("DEBUG", "Node installation", "'curtin' executing late commands"),),
        (netboot_ends,),
        fails=late_commands_fail,
        also_late=True,
    ),
    PAUSE,
    Stage("Rebooting", 90, (install_log_passes, Say("INFO", "Rebooting"), doing("")), fails=timed_out),
    Stage(
        "Local boot",
        20,
        (boots_from_disk,),
        (deployed,),
        fails=timed_out,
    ),
)
"""A deployment to disk, about ten and a half simulated minutes. It ends with a boot from the disk."""

HARDWARE_SYNC = Stage("", 15 * 60, ends=(Say("INFO", "Node Interface hardware sync state change"),))
"""The first report of the ``enable_hw_sync`` agent. Its details and later reports were not recorded."""

TO_VM_HOST = (*TO_DISK[:-1], replace(TO_DISK[-1], ends=(*TO_DISK[-1].ends, becomes_vm_host)))
"""A deployment of a VM host."""

TO_MEMORY = (*BOOT, Stage("Starting", 30, ends=(deployed,), fails=timed_out))
"""An ephemeral deployment: no storage, no installation, no script set."""
