"""Request bodies of the control API. The reference documents these models."""

from typing import Literal, Self

from pydantic import Field, model_validator

from maas_simulator.model.power import PowerState
from maas_simulator.worlds.inputs import Input


class Clock(Input):
    """How simulated time passes from now on."""

    mode: Literal["real", "scaled", "manual"]
    """``real``: one simulated second per real second. ``scaled``: ``speed`` sets the rate. ``manual``: time passes
    only on ``POST /clock/advance``."""
    speed: float | None = Field(default=None, gt=0, le=1e6)
    """Simulated seconds per real second. Needed in the mode ``scaled``, not allowed in the others."""

    @model_validator(mode="after")
    def _check_speed(self) -> Self:
        if (self.mode == "scaled") != (self.speed is not None):
            raise ValueError(
                "speed does not match the mode; set speed in the mode scaled, and leave it out in the others"
            )
        return self

    @property
    def simulated(self) -> float:
        """Simulated seconds per real second."""
        return {"real": 1.0, "manual": 0.0}.get(self.mode, self.speed or 1.0)


class Advance(Input):
    """Simulated time that passes at once."""

    seconds: float = Field(gt=0, le=1e9)
    """Simulated seconds."""


class HoldInput(Input):
    """How long the requests of an operation are held from now on. Two zeros end the hold."""

    op: str
    """The operation, such as ``deploy``. ``events`` and ``machines`` stand for the read requests."""
    before: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Real seconds before the request is carried out."""
    after: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Real seconds between carrying out the request and sending the response."""


class Restart(Input):
    """A restart of MAAS that keeps all state."""

    seconds: float = Field(gt=0, allow_inf_nan=False)
    """Real seconds during which connections are refused."""


class DeleteAct(Input):
    """Another user deletes a machine."""

    machine: str
    """Its hostname or system id."""


class Act(DeleteAct):
    """Another user takes a machine over: the machine is released, and the user acquires it."""

    user: str
    """The user who acts: any user of the region. Unlike in MAAS, any user may act on any machine, even a locked one."""


class AbortAct(Act):
    """Another user aborts a machine's operation."""

    comment: str = ""
    """The user's comment, which the event shows."""


class FormAct(Act):
    """Another user starts an operation on a machine."""

    form: dict[str, str] = Field(default_factory=dict)
    """The parameters of the operation, named as in MAAS."""


class TakeOver(FormAct):
    """Another user deploys a machine that was released for them just before."""

    released_by: str = ""
    """The user who releases the machine; by default ``user``."""
    because: str = ""
    """The comment on the release."""


class PowerInput(Input):
    """A machine's stored and real power state. A field that is left out does not change."""

    machine: str
    """Its hostname or system id."""
    stored: PowerState | None = None
    """The state that MAAS has stored and shows."""
    real: PowerState | None = None
    """The state that the BMC reports to a query."""

    @model_validator(mode="after")
    def _check_state_given(self) -> Self:
        if self.stored is None and self.real is None:
            raise ValueError("no power state is given; set stored, real or both")
        return self
