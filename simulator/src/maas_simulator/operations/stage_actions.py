"""The actions of stages: adding events, changing statuses, and starting and finishing scripts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from maas_simulator.model.events import CLOUD_INIT_EVENT_TYPES, DEFAULT_CLOUD_INIT_EVENT_TYPE
from maas_simulator.model.machines import MANUAL
from maas_simulator.model.scripts import ScriptResult, SetType
from maas_simulator.model.statuses import FAILURE_OF, ScriptStatus
from maas_simulator.state import Action, Run

CURTIN_FAILURE = "Installation failed (refer to the installation log for more information)."
DEPLOY_TIMEOUT = "time-out during deployment"


@dataclass(frozen=True)
class AddEvent:
    """An action that adds one system event."""

    level: str
    type: str
    description: str = ""

    def __call__(self, run: "Run") -> None:
        """Add the event."""
        run.say(self.level, self.type, self.description)


def set_power(state: str) -> Action:
    """Switch the machine ``on`` or ``off``; MAAS 3.6 and newer add no event."""

    def act(run: Run) -> None:
        if run.machine.power_type != MANUAL:
            run.machine.switch(state)

    return act


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


def set_status_action(text: str) -> Action:
    """Set ``status_action``, which shows curtin's current step."""

    def act(run: Run) -> None:
        run.machine.status_action = text

    return act


def mark_failed(run: Run, reason: str) -> None:
    """Fail the operation: an ERROR event, ``error_description``, and the failed status."""
    run.say("ERROR", "Marking node failed", reason)
    run.machine.error_description = reason
    run.region.set_status(run.machine, FAILURE_OF[run.machine.status])
    run.machine.status_action = "mark_failed"


def fail_with(default: str) -> Callable[[Run, str | None], None]:
    """Fail with the planned reason, or with MAAS's default message for this stage."""

    def fail(run: Run, reason: str | None) -> None:
        for kind in (SetType.COMMISSIONING, SetType.TESTING):
            scripts = run.region.current_set(run.machine, kind)
            if scripts is not None:
                scripts.abort()
        log = run.region.current_set(run.machine, SetType.INSTALLATION)
        if log is not None:
            log.abort(ScriptStatus.FAILED)
        mark_failed(run, reason or default)

    return fail


def finish_script(run: Run, result: ScriptResult, ended_as: ScriptStatus) -> None:
    """End a script now, with MAAS's event: one for *Passed*, another for *Failed*."""
    before = result.status.display
    result.status = ended_as
    result.ended = run.region.now()
    result.exit_status = 0 if ended_as is ScriptStatus.PASSED else 1
    if ended_as is ScriptStatus.PASSED:
        run.say("DEBUG", "Script result", f"{result.label} changed status from '{before}' to '{ended_as.display}'")
    else:
        run.say("INFO", "Script", f"{result.label} {ended_as.display.lower()}")


def start_script(run: Run, result: ScriptResult, before: ScriptStatus) -> None:
    """Start a script now; ``before`` is the previous status in its event."""
    result.started = run.region.now()
    change_script_status(run, result, (before, ScriptStatus.RUNNING))


def change_script_status(run: Run, result: ScriptResult, through: Sequence[ScriptStatus]) -> None:
    """Change a script's status step by step, with an event for each change."""
    run.last_report = run.region.now()
    for before, after in pairwise(through):
        result.status = after
        run.say("DEBUG", "Script result", f"{result.label} changed status from '{before.display}' to '{after.display}'")
