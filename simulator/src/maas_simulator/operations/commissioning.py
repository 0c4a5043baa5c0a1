"""The stages of commissioning and testing: booting, then one stage for every script."""

from collections.abc import Callable, Iterator

from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.runs import Action, Run, Stage
from maas_simulator.model.scripts import (
    COMMISSIONING_SCRIPTS,
    TEST_SCRIPTS,
    WITH_DEPENDENCIES,
    ScriptResult,
    ScriptSet,
)
from maas_simulator.model.statuses import ScriptStatus, Status, after_tests
from maas_simulator.model.variants import Variant
from maas_simulator.operations.lifecycles import (
    Say,
    boots_by_network,
    cloud_init,
    finish,
    gives_up,
    goes_through,
    power,
    starts,
)

PENDING, INSTALLING, RUNNING, PASSED, FAILED = (
    ScriptStatus.PENDING,
    ScriptStatus.INSTALLING_DEPENDENCIES,
    ScriptStatus.RUNNING,
    ScriptStatus.PASSED,
    ScriptStatus.FAILED,
)


VIRTUALISES = "kvm-capable"
LAYS_OUT = "50-maas-01-commissioning"
"""The script that reports the hardware. After it passes, MAAS lays out disks and NICs."""

EPHEMERAL_BOOTS = cloud_init(
    "searching for local datasources", "searching for network datasources", "running modules for config"
)
"""The cloud-init events of the ephemeral environment (recorded in MAAS 3.7.3 for commissioning and deploying)."""

INSTALLING_TAKES = 4
"""Simulated seconds to install a script's packages."""

PAUSE = Stage("", 1)
"""The moment between two scripts, in which their set is *Pending* again."""


def boot(
    first: str, operation: str, purpose: Callable[[Variant], str] = lambda _: "commissioning"
) -> tuple[Stage, ...]:
    """The stages of booting the ephemeral environment. MAAS gives its purpose as ``commissioning`` in most cases."""
    fails = gives_up(f"Node operation '{operation}' timed out after 30 minutes.")
    return (
        Stage(first, 10, (power("on"),), fails=fails),
        Stage(
            "Performing PXE boot",
            40,
            (lambda run: boots_by_network(run, purpose(run.region.variant)),),
            fails=fails,
        ),
        Stage("Loading ephemeral", 50, (Say("INFO", "Loading ephemeral"),), fails=fails),
    )


def commission_stages(commissioning: ScriptSet, testing: ScriptSet | None) -> tuple[Stage, ...]:
    """The stages of commissioning: about four minutes, and twenty seconds per tested disk."""
    stages = [
        *boot("Commissioning", "Commissioning"),
        Stage(
            "Gathering information",
            5,
            (EPHEMERAL_BOOTS, Say("INFO", "Gathering information")),
            fails=gives_up("Node has not been heard from for the last 30 minutes"),
        ),
        *(stage for result in commissioning.results if result.status is PENDING for stage in _script_stages(result)),
        Stage("Commissioned", 0, ends=(_ends_commissioning(commissioning, testing),)),
    ]
    if testing is not None:
        stages.append(PAUSE)
        stages += _test_run(testing, Status.READY)
    return tuple(stages)


def test_stages(testing: ScriptSet, before: Status) -> tuple[Stage, ...]:
    """The stages of testing alone; ``before`` is the status before the tests."""
    return (*boot("Testing", "Testing"), *_test_run(testing, after_tests(before)))


def _script_stages(result: ScriptResult) -> Iterator[Stage]:
    before = PENDING
    if result.name in WITH_DEPENDENCIES:
        yield Stage("", INSTALLING_TAKES, (lambda run: goes_through(run, result, (PENDING, INSTALLING)),))
        before = INSTALLING
    yield Stage(
        result.name,
        COMMISSIONING_SCRIPTS[result.name],
        (lambda run: starts(run, result, before),),
        (passes(result),),
        fails=fails_by(result),
        fatal=False,
    )
    yield PAUSE


def _test_run(testing: ScriptSet, leads_to: Status) -> Iterator[Stage]:
    for result in testing.results:
        yield _test_stage(result)
        yield PAUSE
    yield Stage("Tested", 0, ends=(_ends_testing(testing, leads_to),))


def _test_stage(result: ScriptResult) -> Stage:
    """The stage of a test. MAAS 3.7 adds no event for its change from *Pending* to *Installing dependencies*."""
    return Stage(
        result.label,
        TEST_SCRIPTS[result.name],
        (Say("INFO", "Running test", result.label), lambda run: starts(run, result, INSTALLING)),
        (passes(result),),
        fails=fails_by(result),
        fatal=False,
        alias=result.name,
        also_late=True,
    )


def passes(result: ScriptResult) -> Action:
    """End a script with exit status 0."""

    def act(run: Run) -> None:
        if result.name == LAYS_OUT:
            _becomes_known(run.machine)
        result.output += f"{result.name}: no problems found on {run.machine.hostname}\n"
        finish(run, result, PASSED)

    return act


def _becomes_known(machine: SimulatedMachine) -> None:
    """Store the reported hardware. MAAS adds automatic tags: here ``kvm-capable`` for amd64."""
    machine.known = machine.linked = machine.laid_out = True
    if machine.architecture.startswith("amd64") and VIRTUALISES not in machine.tag_names:
        machine.tag_names = (VIRTUALISES, *machine.tag_names)


def fails_by(result: ScriptResult) -> Callable[[Run, str | None], None]:
    """End a script with exit status 1. The last line of its output is the planned reason."""

    def fail(run: Run, reason: str | None) -> None:
        result.output += f"{result.name} on {run.machine.hostname}\nERROR: {reason or 'check failed'}\n"
        finish(run, result, FAILED)

    return fail


def _ends_commissioning(commissioning: ScriptSet, testing: ScriptSet | None) -> Action:
    def act(run: Run) -> None:
        if commissioning.status is not PASSED:
            if testing is not None:
                testing.abort()
            run.say("INFO", "Failed commissioning")
            run.region.set_status(run.machine, Status.FAILED_COMMISSIONING)
            run.region.give_back(run.machine)
            run.machine.switch("on")
            run.end_with(Stage("", 5, ends=(power("off"),)))
            return
        if testing is None:
            _becomes(run, Status.READY)
        else:
            run.region.set_status(run.machine, Status.TESTING)
            run.machine.previous_status = Status.READY

    return act


def _ends_testing(testing: ScriptSet, leads_to: Status) -> Action:
    def act(run: Run) -> None:
        if testing.status is PASSED:
            _becomes(run, leads_to)
            return
        run.say("INFO", "Failed testing")
        run.region.set_status(run.machine, Status.FAILED_TESTING)
        _ends(run.machine)

    return act


def _becomes(run: Run, status: Status) -> None:
    """Change the status. Only *Ready* has its own INFO event, which comes before the change."""
    if status is Status.READY:
        run.say("INFO", "Ready")
    run.region.set_status(run.machine, status)
    if status in (Status.READY, Status.NEW):
        run.region.give_back(run.machine)
    _ends(run.machine)


def _ends(machine: SimulatedMachine) -> None:
    """Switch the machine off, unless ``enable_ssh`` keeps it on for the user."""
    machine.switch("on" if machine.enable_ssh else "off")
