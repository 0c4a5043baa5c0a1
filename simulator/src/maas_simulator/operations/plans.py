"""Planned failures of machines and rack controllers."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from maas_simulator.model.built_in_scripts import names_of
from maas_simulator.model.faults import STRICT
from maas_simulator.model.machines import Rack, SimulatedMachine
from maas_simulator.model.power import BmcFailure, BmcMode, PowerErrors
from maas_simulator.model.scripts import ScriptSet, SetType
from maas_simulator.model.statuses import Status
from maas_simulator.operations.commissioning_stages import commission_stages, test_stages
from maas_simulator.operations.deployment_stages import TO_DISK, TO_MEMORY
from maas_simulator.operations.release_stages import ENTER_RESCUE, ERASE, EXIT_RESCUE, RELEASE


@checked(frozen=True, config=STRICT)
class Planned:
    """A planned failure: exactly one of ``fail``, ``hang``, ``bmc_down`` and ``rack_down``."""

    machine: str | None = None
    """The machine's hostname or system id. Needed except with ``rack_down``."""
    fail: str | None = None
    """The stage or script at which the machine's next matching operation fails."""
    hang: str | None = None
    """The stage or script at which the machine's next matching operation hangs."""
    reason: str | None = None
    """With ``fail`` or ``bmc_down``: the reason that is reported instead of MAAS's own message."""
    bmc_down: bool = False
    """Whether the machine's BMC fails, until the plans are removed."""
    mode: BmcMode = "down"
    """With ``bmc_down``: how it fails. ``down``: it does not answer. ``slow``: it works, but each command takes
    ``seconds``. ``no on``, ``no off``, ``no query``: it fails to switch the machine on or off, or to report its state;
    ``no query`` also fails switching, but the machine switches. ``stays off``, ``stays on``: it accepts all commands,
    and the machine does not change. ``unroutable``: no rack controller can reach it."""
    errors: PowerErrors = "driver"
    """With ``bmc_down``: whose error MAAS reports. The agent's is ``ExitError: exit status 1`` for a request, and
    ``Activity task failed`` for a deployment."""
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """With ``bmc_down``: how many real seconds each command takes. A query is one command, and switching is three."""
    rack_down: str | None = None
    """The system id of a rack controller that is disconnected until the plans are removed."""

    def __post_init__(self) -> None:
        """Check that the fields fit together."""
        if sum(map(bool, (self.fail, self.hang, self.bmc_down, self.rack_down))) != 1:
            raise ValueError("a plan needs exactly one of fail, hang, bmc_down and rack_down")
        if (self.machine is None) != (self.rack_down is not None):
            raise ValueError("machine is needed with fail, hang and bmc_down, and is not allowed with rack_down")
        if self.reason and not (self.fail or self.bmc_down):
            raise ValueError("reason is allowed only with fail and bmc_down")
        for name, default in asdict(BmcFailure(reason=self.reason)).items():
            if getattr(self, name) != default and not self.bmc_down:
                raise ValueError(f"{name} is allowed only with bmc_down")


def planned(machines: Iterable[SimulatedMachine], racks: Mapping[str, Rack]) -> Iterator[Planned]:
    """Return the planned failures that have not happened yet."""
    for rack in racks.values():
        if not rack.connected:
            yield Planned(rack_down=rack.system_id)
    for machine in machines:
        if machine.bmc_down:
            yield Planned(machine.hostname, bmc_down=True, **asdict(machine.bmc_down))
        for plan in machine.plans:
            fail, hang = (None, plan.stage) if plan.hangs else (plan.stage, None)
            yield Planned(machine.hostname, fail, hang, plan.reason)


def check_stage(stage: str, custom: Iterable[str] = ()) -> None:
    """Raise ``ValueError`` with all valid names if no operation has this stage or script."""
    known = PLANNABLE.union(custom)
    if stage not in known:
        raise ValueError(f"no operation has a stage {stage!r}; the stages and scripts are: {', '.join(sorted(known))}")


def _stage_names() -> frozenset[str]:
    """The names of all stages and scripts that a plan can name."""
    nothing = ScriptSet(0, "", SetType.TESTING, [])
    fixed = (TO_DISK, TO_MEMORY, ERASE, RELEASE, ENTER_RESCUE, EXIT_RESCUE, test_stages(nothing, Status.READY))
    runs = (*fixed, commission_stages(nothing, None))
    lasting = {stage.name for stages in runs for stage in stages if stage.name and stage.seconds > 0}
    return frozenset(lasting.union(names_of(SetType.COMMISSIONING), names_of(SetType.TESTING)))


PLANNABLE = _stage_names()
