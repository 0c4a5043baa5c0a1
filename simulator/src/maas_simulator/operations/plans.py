"""Planned failures of machines and rack controllers."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from maas_simulator.model.built_in_scripts import names_of
from maas_simulator.model.machines import Plan, Rack, SimulatedMachine
from maas_simulator.model.power import BmcMode, PowerErrors
from maas_simulator.model.scripts import ScriptSet, SetType
from maas_simulator.model.statuses import Status
from maas_simulator.operations.commissioning_stages import commission_stages, test_stages
from maas_simulator.operations.deployment_stages import TO_DISK, TO_MEMORY
from maas_simulator.operations.release_stages import ENTER_RESCUE, ERASE, EXIT_RESCUE, RELEASE


@dataclass(frozen=True)
class Planned:
    """A planned failure, as given to :meth:`SimulatedRegion.plan` and similar methods. Exactly one kind is set.

    ``machine`` is the hostname; it is None for ``rack_down``, which has the system id of a rack controller. ``reason``
    belongs to ``fail`` or ``bmc_down``; ``mode``, ``errors`` and ``seconds`` belong to ``bmc_down``.
    """

    machine: str | None = None
    fail: str | None = None
    hang: str | None = None
    reason: str | None = None
    bmc_down: bool = False
    mode: BmcMode = "down"
    errors: PowerErrors = "driver"
    seconds: float = 0.0
    rack_down: str | None = None


def planned(machines: Iterable[SimulatedMachine], racks: Mapping[str, Rack]) -> Iterator[Planned]:
    """Return the planned failures that have not happened yet."""
    for rack in racks.values():
        if not rack.connected:
            yield Planned(rack_down=rack.system_id)
    for machine in machines:
        if machine.bmc_down:
            yield Planned(machine.hostname, bmc_down=True, **asdict(machine.bmc_down))
        for plan in machine.plans:
            yield _planned(machine, plan)


def check_stage(stage: str, custom: Iterable[str] = ()) -> None:
    """Raise ``ValueError`` with all valid names if no operation has this stage or script."""
    known = PLANNABLE.union(custom)
    if stage not in known:
        raise ValueError(f"no operation has a stage {stage!r}; the stages and scripts are: {', '.join(sorted(known))}")


def _planned(machine: SimulatedMachine, plan: Plan) -> Planned:
    fail, hang = (None, plan.stage) if plan.hangs else (plan.stage, None)
    return Planned(machine.hostname, fail=fail, hang=hang, reason=plan.reason)


def _stage_names() -> frozenset[str]:
    """The names of all stages and scripts that a plan can name."""
    nothing = ScriptSet(0, "", SetType.TESTING, [])
    fixed = (TO_DISK, TO_MEMORY, ERASE, RELEASE, ENTER_RESCUE, EXIT_RESCUE, test_stages(nothing, Status.READY))
    runs = (*fixed, commission_stages(nothing, None))
    lasting = {stage.name for stages in runs for stage in stages if stage.name and stage.seconds > 0}
    return frozenset(lasting.union(names_of(SetType.COMMISSIONING), names_of(SetType.TESTING)))


PLANNABLE = _stage_names()
