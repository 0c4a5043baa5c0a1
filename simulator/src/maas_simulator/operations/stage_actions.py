"""The actions of stages: adding events, changing statuses, and starting and finishing scripts."""

from collections.abc import Callable

from maas_simulator.model.config import NODE_TIMEOUT
from maas_simulator.model.events import CLOUD_INIT_EVENT_TYPES, DEFAULT_CLOUD_INIT_EVENT_TYPE
from maas_simulator.model.machines import MANUAL, SimulatedMachine
from maas_simulator.model.scripts import ScriptResult, SetType
from maas_simulator.model.statuses import FAILURE_OF, ScriptStatus, Status
from maas_simulator.state import Action, RegionState, Run

CURTIN_FAILURE = "Installation failed (refer to the installation log for more information)."
DEPLOY_TIMEOUT = "time-out during deployment"
NO_REPORT = f"Node has not been heard from for the last {NODE_TIMEOUT} minutes"  # codespell:ignore heard

FailureHandler = Callable[[Run, str | None], None]
"""Ends a stage that fails, with the planned reason."""


def add_event(level: str, event_type: str, description: str = "") -> Action:
    """Add a system event."""
    return lambda run: run.say(level, event_type, description)


def set_power(state: str) -> Action:
    """Switch the machine ``on`` or ``off``; MAAS 3.6 and newer add no event."""
    return lambda run: run.machine.switch(state) if run.machine.power_type != MANUAL else None


def add_pxe_events(run: Run, purpose: str) -> None:
    """Add the events of a network boot for this purpose."""
    run.say("DEBUG", "PXE Request", purpose)
    run.say("INFO", "Performing PXE boot")


def add_local_boot_events(run: Run) -> None:
    """Add the events of a boot from the local disk; some regions add none."""
    if run.region.variant.local_boot_events:
        add_pxe_events(run, "local boot")


def add_cloud_init_events(*words: str) -> Action:
    """Queue cloud-init events. They are added later, and so have late ids, but keep the time of the call.

    MAAS 3.7.3: their type depends on the machine's status when MAAS writes the queue.
    """

    def act(run: Run) -> None:
        region, machine, created = run.region, run.machine, run.region.now()

        def write() -> None:
            kind = CLOUD_INIT_EVENT_TYPES.get(machine.status, DEFAULT_CLOUD_INIT_EVENT_TYPE)
            for each in words:
                region.say(machine, "DEBUG", kind, f"'cloudinit' {each}", created=created)

        if region.debug_delay > 0:
            region.schedule.after(region.debug_delay - region.schedule.moment % region.debug_delay, write)
        else:
            write()

    return act


def set_fields(**values: object) -> Action:
    """Set fields of the machine. ``status_action`` shows curtin's current step."""

    def act(run: Run) -> None:
        for name, value in values.items():
            setattr(run.machine, name, value)

    return act


def set_status(status: Status) -> Action:
    """Change the machine's status."""
    return lambda run: run.region.set_status(run.machine, status)


def mark_failed(run: Run, reason: str) -> None:
    """Fail the operation: an ERROR event, ``error_description``, and the failed status."""
    run.say("ERROR", "Marking node failed", reason)
    run.machine.error_description = reason
    run.region.set_status(run.machine, FAILURE_OF[run.machine.status])
    run.machine.status_action = "mark_failed"


def abort_scripts(region: RegionState, machine: SimulatedMachine, *, failed: bool = False) -> None:
    """End all unfinished scripts of a machine. If its operation ``failed``, its installation has failed."""
    for kind in (SetType.COMMISSIONING, SetType.TESTING, SetType.INSTALLATION):
        if (scripts := region.current_set(machine, kind)) is not None:
            scripts.abort(ScriptStatus.FAILED if failed and kind is SetType.INSTALLATION else ScriptStatus.ABORTED)


def fail_with(default: str) -> FailureHandler:
    """Fail with the planned reason, or with MAAS's default message for this stage."""

    def fail(run: Run, reason: str | None) -> None:
        abort_scripts(run.region, run.machine, failed=True)
        mark_failed(run, reason or default)

    return fail


def finish_script(run: Run, result: ScriptResult, ended_as: ScriptStatus) -> None:
    """End a script now, with MAAS's event: one for *Passed*, another for *Failed*."""
    result.ended = run.region.now()
    if ended_as is ScriptStatus.PASSED:
        result.exit_status = 0
        change_script_status(run, result, ended_as)
        return
    result.status, result.exit_status = ended_as, 1
    run.say("INFO", "Script", f"{result.label} {ended_as.display.lower()}")


def start_script(run: Run, result: ScriptResult, before: ScriptStatus = ScriptStatus.PENDING) -> None:
    """Start a script now; ``before`` is the previous status in its event."""
    result.started, result.status = run.region.now(), before
    change_script_status(run, result, ScriptStatus.RUNNING)


def change_script_status(run: Run, result: ScriptResult, status: ScriptStatus) -> None:
    """Change a script's status, with its event."""
    run.last_report, before = run.region.now(), result.status.display
    result.status = status
    run.say("DEBUG", "Script result", f"{result.label} changed status from '{before}' to '{status.display}'")
