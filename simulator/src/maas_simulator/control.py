"""The HTTP control API of a region: JSON over the methods of :class:`SimulatedRegion`. The reference documents it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import to_jsonable_python
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from maas_simulator.model.costs import Costs
from maas_simulator.model.faults import Fault, Hold, count_requests
from maas_simulator.model.oddities import OddEvents, OddMachine
from maas_simulator.model.power import PowerState
from maas_simulator.model.refusals import Refusal
from maas_simulator.model.scripts import JSON
from maas_simulator.model.variants import Variant
from maas_simulator.operations.plans import Planned
from maas_simulator.region import SimulatedRegion
from maas_simulator.worlds.inputs import Input, explain

LATEST = 20
"""How many of the latest requests ``GET /requests`` returns."""


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


class Restart(Input):
    """A restart of MAAS that keeps all state."""

    seconds: float = Field(gt=0, allow_inf_nan=False)
    """Real seconds during which connections are refused."""


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


class DeleteAct(Input):
    """Another user acts on a machine. Each field is a parameter of the method that has the name of the act."""

    machine: str
    """Its hostname or system id."""


class Act(DeleteAct):
    """The act of a user with a name."""

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


NO_BODY: Final = type(None)


@dataclass(frozen=True)
class Command:
    """One method on one path. It acts on the region, and shows a part of it as JSON."""

    method: Literal["GET", "PUT", "POST", "DELETE"]
    path: str
    summary: str
    takes: type = NO_BODY
    """The type of the body, which ``act`` and the function in ``SHOWN`` get; ``NoneType`` if there is no body."""
    act: Callable[..., object] = lambda _region: None

    def carry_out(self, region: SimulatedRegion, body: bytes) -> str:
        """Run the command and return JSON with what it shows; ``ValueError`` if the body is invalid."""
        with region.lock:
            region.play()
            given = () if self.takes is NO_BODY else (self._parse_body(body),)
            self.act(region, *given)
            show = SHOWN.get(self.path) or SHOWN[f"/{self.path.split('/')[1]}"]
            return json.dumps(to_jsonable_python(show(region, *given)), indent=2) + "\n"

    def _parse_body(self, body: bytes) -> object:
        kind: TypeAdapter[object] = TypeAdapter(self.takes)
        try:
            return kind.validate_python(json.loads(body or b"{}"))
        except json.JSONDecodeError as error:
            raise ValueError(f"the body is not JSON: {error}") from None
        except ValidationError as error:
            raise ValueError("; ".join(explain(error, kind))) from None


def create_control_app(region: SimulatedRegion) -> Starlette:
    """Create the ASGI application that controls a region. Every client that reaches it has full control."""

    async def answer(request: Request) -> Response:
        return _answer(region, request.method, request.url.path.rstrip("/") or "/", await request.body())

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "PUT", "POST", "DELETE"])])


def _answer(region: SimulatedRegion, method: str, path: str, body: bytes) -> Response:
    paths = dict.fromkeys(command.path for command in COMMANDS)
    commands = {command.method: command for command in COMMANDS if command.path == path}
    if not commands:
        return _error(404, f"there is no path {path}; the paths are: {', '.join(paths)}")
    if method not in commands:
        allowed = ", ".join(commands)
        return _error(405, f"{path} does not accept {method}; it accepts {allowed}", Allow=allowed)
    try:
        return Response(commands[method].carry_out(region, body), media_type="application/json")
    except KeyError as error:
        return _error(400, str(error.args[0]))
    except ValueError as error:
        return _error(400, str(error))
    except Refusal as refusal:
        return _error(409, f"MAAS rejects this with status {refusal.status}: {refusal.body or 'it is not allowed'}")


def _error(status: int, message: str, **headers: str) -> Response:
    return JSONResponse({"error": message}, status, headers)


def _overview(region: SimulatedRegion, *_: object) -> JSON:
    return {
        "machines": len(region.machines),
        "commands": {f"{command.method} {command.path}": command.summary for command in COMMANDS},
    }


def _clock(region: SimulatedRegion, *_: object) -> JSON:
    speed = region.schedule.speed
    mode = {0.0: "manual", 1.0: "real"}.get(speed, "scaled")
    now = datetime.fromtimestamp(region.now(), UTC).isoformat(timespec="milliseconds")
    return {"mode": mode, "speed": speed, "now": now}


def _plans(region: SimulatedRegion, *_: object) -> JSON:
    return {"plans": TypeAdapter(list[Planned]).dump_python(region.plans(), mode="json", exclude_defaults=True)}


def _faults(region: SimulatedRegion, *_: object) -> JSON:
    return {"faults": TypeAdapter(list[Fault]).dump_python(list(region.faults), mode="json", exclude_defaults=True)}


def _oddities(region: SimulatedRegion, *_: object) -> JSON:
    shown = [{"machine": system_id, "show": show} for system_id, show in region.oddities.machines.items()]
    return {"machines": shown, "events": region.oddities.events}


def _power(region: SimulatedRegion, *_: object) -> JSON:
    odd = (each for each in region.machines.values() if each.power_cycles or each.real_power != each.power_state)
    names = {"machine": "hostname", "stored": "power_state", "real": "real_power", "cycles": "power_cycles"}
    return {"machines": [{key: getattr(machine, name) for key, name in names.items()} for machine in odd]}


def _requests(region: SimulatedRegion, *_: object) -> JSON:
    requests = region.requests
    return {"total": requests.total, "counts": count_requests(requests), "latest": requests[-LATEST:]}


def _machine(region: SimulatedRegion, given: DeleteAct) -> JSON:
    machine = region.machine(given.machine)
    return {name: getattr(machine, name) for name in ("system_id", "hostname", "status_name", "owner")}


def _call(method: Callable[..., None]) -> Callable[[SimulatedRegion, object], None]:
    """Call a method with the fields of the body: the machine and the user first, the others by name."""

    def act(region: SimulatedRegion, given: object) -> None:
        fields = dict(vars(given))
        names = [fields.pop(name) for name in ("machine", "user") if name in fields]
        method(region, *names, **fields.pop("form", {}), **fields)

    return act


SHOWN: Final[Mapping[str, Callable[..., object]]] = {
    "/": _overview,
    "/clock": _clock,
    "/plans": _plans,
    "/faults": _faults,
    "/holds": lambda region, *_: {"holds": list(region.holds.values())},
    "/oddities": _oddities,
    "/power": _power,
    "/variant": lambda region, *_: region.variant,
    "/costs": lambda region, *_: region.costs,
    "/restart": lambda _, given: given,
    "/requests": _requests,
    "/acts": _machine,
    "/acts/delete": lambda region, _: {"machines": len(region.machines)},
}
"""The responses by path, or by its first part."""
COMMANDS: Final = (
    Command("GET", "/", "The number of machines, and all commands."),
    Command("GET", "/clock", "The mode and speed of the clock, and the simulated time."),
    Command(
        "PUT",
        "/clock",
        "Change how simulated time passes from now on. The simulated time does not jump.",
        Clock,
        lambda region, clock: region.set_speed(clock.simulated),
    ),
    Command(
        "POST", "/clock/advance", "Advance the clock at once, in any mode.", Advance, _call(SimulatedRegion.advance)
    ),
    Command("GET", "/plans", "Planned failures that have not happened yet."),
    Command(
        "POST", "/plans", "Plan a failure of a machine, a BMC or a rack controller.", Planned, SimulatedRegion.add_plan
    ),
    Command(
        "DELETE", "/plans", "Remove all plans. BMCs and rack controllers work again.", act=SimulatedRegion.clear_plans
    ),
    Command("GET", "/faults", "The faults that wait for matching requests."),
    Command("POST", "/faults", "Add a fault.", Fault, lambda region, fault: region.faults.append(fault)),
    Command("DELETE", "/faults", "Remove all faults.", act=lambda region: region.faults.clear()),
    Command("GET", "/holds", "The operations whose requests are held."),
    Command("PUT", "/holds", "Hold the requests of an operation.", Hold, _call(SimulatedRegion.hold)),
    Command("DELETE", "/holds", "End all holds.", act=lambda region: region.holds.clear()),
    Command("GET", "/oddities", "The values that are shown instead of the real ones."),
    Command(
        "POST", "/oddities/events", "Show events with other values, or hide them.", OddEvents, SimulatedRegion.distort
    ),
    Command(
        "POST",
        "/oddities/machines",
        "Show a machine with other values than its own.",
        OddMachine,
        SimulatedRegion.distort,
    ),
    Command("DELETE", "/oddities", "Show the real values again.", act=SimulatedRegion.show_as_is),
    Command("GET", "/power", "Machines with a wrong stored power state, and machines that were power-cycled."),
    Command(
        "PUT",
        "/power",
        "Set the stored and the real power state of a machine.",
        PowerInput,
        _call(SimulatedRegion.set_power),
    ),
    Command("GET", "/variant", "The region's behaviour where regions of MAAS 3.7.3 differ."),
    Command(
        "PUT",
        "/variant",
        "Change the region's behaviour where regions of MAAS 3.7.3 differ.",
        Variant,
        lambda region, variant: setattr(region, "variant", variant),
    ),
    Command("GET", "/costs", "How long requests take."),
    Command(
        "PUT",
        "/costs",
        "Change how long requests take. Fields that are left out are zero.",
        Costs,
        lambda region, costs: setattr(region, "costs", costs),
    ),
    Command(
        "POST",
        "/restart",
        "Refuse connections for a while. The region keeps its state.",
        Restart,
        _call(SimulatedRegion.restart),
    ),
    Command("GET", "/requests", "The number of requests, counts by kind, and the latest requests."),
    Command(
        "DELETE", "/requests", "Forget all requests and count from zero.", act=lambda region: region.requests.clear()
    ),
    *(
        Command("POST", f"/acts/{method.__name__}", f"Another user {does}.", takes, _call(method))
        for method, takes, does in (
            (SimulatedRegion.deploy, FormAct, "deploys a machine"),
            (SimulatedRegion.release, FormAct, "releases a machine"),
            (SimulatedRegion.abort, AbortAct, "aborts a machine's operation"),
            (SimulatedRegion.change_owner, Act, "takes a machine over"),
            (SimulatedRegion.take_over, TakeOver, "releases a machine and deploys it at once"),
            (SimulatedRegion.delete, DeleteAct, "deletes a machine"),
        )
    ),
)
"""All commands of the control API."""
