"""What the control takes: models of the bodies of its requests, which are in the reference."""

from typing import Literal, Self

from pydantic import Field, model_validator

from maas_simulator.model.power import PowerState
from maas_simulator.worlds.inputs import Input


class Clock(Input):
    """How simulated time passes from now on."""

    mode: Literal["real", "scaled", "manual"]
    """``real``: a second is a second. ``scaled``: at ``speed``. ``manual``: only by ``POST /clock/advance``."""
    speed: float | None = Field(default=None, gt=0, le=1e6)
    """Simulated seconds in a real second, for ``scaled``, and for no other mode."""

    @model_validator(mode="after")
    def _speed_goes_with_scaled(self) -> Self:
        if (self.mode == "scaled") != (self.speed is not None):
            raise ValueError("speed is needed in the mode scaled, and goes with no other")
        return self

    @property
    def simulated(self) -> float:
        """Simulated seconds in a real second."""
        return {"real": 1.0, "manual": 0.0}.get(self.mode, self.speed or 1.0)


class Advance(Input):
    """Time that passes at once."""

    seconds: float = Field(gt=0, le=1e9)
    """Simulated seconds."""


class HoldInput(Input):
    """How long requests of an operation are held from now on; zeros end it."""

    op: str
    """The operation; ``events`` and ``machines`` are the reads."""
    before: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Real seconds before a request acts."""
    after: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Real seconds after it has acted, before it is answered."""


class Restart(Input):
    """A restart of MAAS, with everything kept."""

    seconds: float = Field(gt=0, allow_inf_nan=False)
    """Real seconds during which connections are refused."""


class DeleteAct(Input):
    """Somebody deletes a machine."""

    machine: str
    """Its hostname or system id."""


class Act(DeleteAct):
    """Somebody takes a machine over: it is released, and acquired by them."""

    user: str
    """Who does it: any user of the region. They may do it to any machine, locked or not, which MAAS would not let
    everybody."""


class AbortAct(Act):
    """Somebody aborts what a machine is doing."""

    comment: str = ""
    """What they say about it, in the event."""


class FormAct(Act):
    """Somebody starts an operation of a machine."""

    form: dict[str, str] = Field(default_factory=dict)
    """The parameters of the operation, as MAAS takes them."""


class TakeOver(FormAct):
    """Somebody deploys a machine that was released for them just before."""

    released_by: str = ""
    """The user who releases it; by default the same user."""
    because: str = ""
    """The comment on the release."""


class PowerInput(Input):
    """A machine's stored and real power state; a field that is left out stays as it is."""

    machine: str
    """Its hostname or system id."""
    stored: PowerState | None = None
    """The state that MAAS has stored, and shows."""
    real: PowerState | None = None
    """The state that its BMC reports when it is asked."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.stored is None and self.real is None:
            raise ValueError("one of stored and real is needed, or both")
        return self
