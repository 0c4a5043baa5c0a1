"""The stages of a deployment, to disk with curtin or to memory."""

import math
from dataclasses import replace

from maas_simulator.model.config import SYNC_INTERVAL
from maas_simulator.model.power import BMC_FAILURE
from maas_simulator.model.scripts import ScriptResult, SetType
from maas_simulator.model.statuses import ScriptStatus, Status
from maas_simulator.operations.commissioning_stages import EPHEMERAL_BOOTS, PAUSE
from maas_simulator.operations.stage_actions import (
    CURTIN_FAILURE,
    DEPLOY_TIMEOUT,
    add_cloud_init_events,
    add_event,
    add_local_boot_events,
    add_pxe_events,
    fail_with,
    finish_script,
    mark_failed,
    set_fields,
    set_power,
    start_script,
)
from maas_simulator.state import Action, Run, Stage


def _log(run: Run) -> ScriptResult | None:
    """The installation log, which is the installation's only script result."""
    scripts = run.region.current_set(run.machine, SetType.INSTALLATION)
    return scripts.results[0] if scripts is not None else None


def _curtin_step(step: str, description: str, *details: str) -> tuple[Action, ...]:
    """The actions of a curtin step: its DEBUG event, ``status_action``, and its lines in the installation log."""

    def write(run: Run) -> None:
        if (log := _log(run)) is not None:
            log.output += "".join(f"{line}\n" for line in (f"start: cmd-install/{step}: {description}", *details))

    return (
        add_event("DEBUG", "Node installation", f"'curtin' {description}"),
        set_fields(status_action=f"cmd-install/{step}"),
        write,
    )


def _start_install_log(run: Run) -> None:
    if (log := _log(run)) is not None:
        start_script(run, log)


def _finish_install_log(run: Run) -> None:
    if (log := _log(run)) is not None:
        log.output += "curtin: Installation finished.\n"
        finish_script(run, log, ScriptStatus.PASSED)


def _fail_curtin(run: Run, reason: str | None) -> None:
    """Fail curtin. A planned reason ends the log and replaces MAAS's general message."""
    run.say("ERROR", "Node installation failure", "'curtin' curtin command install")
    if (log := _log(run)) is not None:
        log.output += (
            f"{reason or 'E: Unable to locate package linux-generic'}\n"
            "Unexpected error while running command.\nExit code: 100\ncurtin: Installation failed with exception\n"
        )
        finish_script(run, log, ScriptStatus.FAILED)
    mark_failed(run, reason or CURTIN_FAILURE)
    run.say("DEBUG", "Node status event", "'cloudinit' running modules for final")


def _fail_late_commands(run: Run, reason: str | None) -> None:
    """Fail curtin at its last step, which the event names. Failures in earlier steps were recorded without names."""
    run.say("ERROR", "Node installation failure", "'curtin' executing late commands")
    _fail_curtin(run, reason)


def _store_sync(run: Run) -> None:
    run.machine.last_sync = run.region.now()


def _finish_deployment(run: Run) -> None:
    """Mark the machine as deployed when the installed system reports in."""
    machine = run.machine
    image = f"{machine.osystem}/{machine.distro_series}"
    run.region.images.deployed(image, machine.architecture)
    run.say("INFO", "Image Deployed", f"deployed {image}/{machine.architecture}")
    run.region.set_status(machine, Status.DEPLOYED)
    if machine.enable_hw_sync:
        _store_sync(run)
    run.say("INFO", "Deployed")
    add_cloud_init_events("searching for local datasources", "running modules for final")(run)


fail_by_timeout = fail_with(DEPLOY_TIMEOUT)
"""Fail a deployment whose machine stopped reporting."""


def _fail_cloud_init(run: Run, reason: str | None) -> None:
    """Fail the setup of the ephemeral environment, before curtin starts."""
    run.say("ERROR", "Node installation failure", "'cloudinit' running modules for config")
    fail_by_timeout(run, reason or CURTIN_FAILURE)


def _curtin_stage(name: str, seconds: float, *step: str) -> Stage:
    actions: tuple[Action, ...] = (add_event("INFO", name), *_curtin_step(*step))
    return Stage(name, seconds, actions, on_failure=_fail_curtin, may_run_late=math.inf)


BOOT = (
    Stage("Deploying", 20, on_failure=fail_with(BMC_FAILURE)),
    Stage("Power on", 40, (set_power("on"),), on_failure=fail_by_timeout),
    Stage("Performing PXE boot", 20, (lambda run: add_pxe_events(run, "installation"),), on_failure=fail_by_timeout),
    Stage("Loading ephemeral", 85, (add_event("INFO", "Loading ephemeral"),), on_failure=fail_by_timeout),
    Stage("cloud-init", 5, on_end=(EPHEMERAL_BOOTS,), on_failure=_fail_cloud_init),
)

TO_DISK = (
    *BOOT,
    Stage(
        "Preparing",
        10,
        (
            add_event("DEBUG", "Node installation", "'curtin' curtin command install"),
            _start_install_log,
            *_curtin_step("stage-early", "preparing for installation"),
            set_fields(status_action=""),
        ),
        on_failure=_fail_curtin,
    ),
    _curtin_stage(
        "Configuring storage",
        30,
        "stage-partitioning",
        "configuring storage",
        "wiping superblock on /dev/sda",
        "creating gpt partition table and ext4 filesystem on /dev/sda",
    ),
    _curtin_stage(
        "Installing OS",
        240,
        "stage-extract",
        "writing install sources to disk",
        "acquiring and extracting image from cp:///media/root-ro",
    ),
    _curtin_stage(
        "Configuring OS",
        60,
        "stage-curthooks",
        "configuring installed system",
        "Running command ['chroot', '/target', 'apt-get', 'install', 'linux-generic']",
    ),
    Stage(
        "Late commands",
        10,
        (add_event("DEBUG", "Node installation", "'curtin' executing late commands"),),
        (set_fields(netboot=False),),  # Curtin requests this in its last step.
        on_failure=_fail_late_commands,
        may_run_late=math.inf,
    ),
    PAUSE,
    Stage(
        "Rebooting",
        90,
        (_finish_install_log, add_event("INFO", "Rebooting"), set_fields(status_action="")),
        on_failure=fail_by_timeout,
    ),
    Stage("Local boot", 20, (add_local_boot_events,), (_finish_deployment,), on_failure=fail_by_timeout),
)
"""A deployment to disk, about ten and a half simulated minutes. It ends with a boot from the disk."""

HARDWARE_SYNC = Stage(
    "", SYNC_INTERVAL, on_end=(_store_sync, add_event("INFO", "Node Interface hardware sync state change"))
)
"""The second report of the ``enable_hw_sync`` agent. Its details and later reports were not recorded."""

TO_VM_HOST = (*TO_DISK[:-1], replace(TO_DISK[-1], on_end=(*TO_DISK[-1].on_end, set_fields(is_vm_host=True))))
"""A deployment of a VM host."""

TO_MEMORY = (*BOOT, Stage("Starting", 30, on_end=(_finish_deployment,), on_failure=fail_by_timeout))
"""An ephemeral deployment: no storage, no installation, no script set."""
