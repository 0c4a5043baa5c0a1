"""The HTTP control API of a region: JSON over the methods of :class:`SimulatedRegion`."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from maas_simulator.control_inputs import (
    AbortAct,
    Act,
    Advance,
    Clock,
    DeleteAct,
    FormAct,
    HoldInput,
    PowerInput,
    Restart,
    TakeOver,
)
from maas_simulator.model.costs import Costs
from maas_simulator.model.faults import Fault, Hold, count_requests
from maas_simulator.model.oddities import OddEvents, OddMachine
from maas_simulator.model.refusals import Refusal
from maas_simulator.model.scripts import JSON
from maas_simulator.model.variants import Variant
from maas_simulator.operations.plans import Planned
from maas_simulator.region import SimulatedRegion
from maas_simulator.worlds.inputs import PlanInput, explain

LATEST = 20
"""How many of the latest requests ``GET /requests`` returns."""

BodyT = TypeVar("BodyT")


@dataclass(frozen=True)
class Command(Generic[BodyT]):
    """One method on one path of the control API, with its summary, body type and action."""

    method: Literal["GET", "PUT", "POST", "DELETE"]
    path: str
    summary: str
    act: Callable[[SimulatedRegion, BodyT], object]
    takes: type[BodyT]
    """The type of the body; ``NoneType`` if there is no body."""

    def carry_out(self, region: SimulatedRegion, body: bytes) -> object:
        """Run the command and return a JSON value; ``ValueError`` if the body is invalid."""
        with region.lock:
            region.play()
            return self.act(region, self._parse_body(body))

    def _parse_body(self, body: bytes) -> BodyT:
        kind = TypeAdapter(self.takes)
        try:
            return kind.validate_python(json.loads(body or b"{}") if self.takes is not type(None) else None)
        except json.JSONDecodeError as error:
            raise ValueError(f"the body is not JSON: {error}") from None
        except ValidationError as error:
            raise ValueError("; ".join(explain(error, kind))) from None


def create_control_app(region: SimulatedRegion) -> Starlette:
    """Create the ASGI application that controls a region. Every client that reaches it has full control."""
    paths = dict.fromkeys(command.path for command in COMMANDS)
    routes = [
        Route(path, _PathCommands(region, path).answer, methods=["GET", "PUT", "POST", "DELETE"]) for path in paths
    ]
    return Starlette(routes=routes, exception_handlers={404: _no_such_path})


class _PathCommands:
    """All commands on one path."""

    def __init__(self, region: SimulatedRegion, path: str) -> None:
        self.region = region
        self.commands: dict[str, Command[Any]] = {each.method: each for each in COMMANDS if each.path == path}

    async def answer(self, request: Request) -> Response:
        command = self.commands.get(request.method)
        if command is None:
            allowed = ", ".join(self.commands)
            return _error(
                405, f"{request.url.path} does not accept {request.method}; it accepts {allowed}", Allow=allowed
            )
        try:
            return _answer(command.carry_out(self.region, await request.body()))
        except KeyError as error:
            return _error(400, str(error.args[0]))
        except ValueError as error:
            return _error(400, str(error))
        except Refusal as refusal:
            return _error(409, f"MAAS rejects this with status {refusal.status}: {refusal.body or 'it is not allowed'}")


def _answer(value: object) -> Response:
    return Response(json.dumps(value, indent=2) + "\n", media_type="application/json")


def _error(status: int, message: str, **headers: str) -> Response:
    return JSONResponse({"error": message}, status, headers)


async def _no_such_path(request: Request, error: Exception) -> Response:
    del error
    known = ", ".join(dict.fromkeys(command.path for command in COMMANDS))
    return _error(404, f"there is no path {request.url.path}; the paths are: {known}")


def _overview(region: SimulatedRegion, _: None) -> object:
    return {
        "machines": len(region.machines),
        "commands": {f"{command.method} {command.path}": command.summary for command in COMMANDS},
    }


def _clock(region: SimulatedRegion, _: None = None) -> JSON:
    speed = region.schedule.speed
    mode = {0.0: "manual", 1.0: "real"}.get(speed, "scaled")
    now = datetime.fromtimestamp(region.now(), UTC).isoformat(timespec="milliseconds")
    return {"mode": mode, "speed": speed, "now": now}


def _set_clock(region: SimulatedRegion, clock: Clock) -> JSON:
    region.set_speed(clock.simulated)
    return _clock(region)


def _advance(region: SimulatedRegion, given: Advance) -> JSON:
    region.advance(given.seconds)
    return _clock(region)


def _plans(region: SimulatedRegion, _: None = None) -> JSON:
    plans = TypeAdapter(list[Planned]).dump_python(region.plans(), mode="json", exclude_defaults=True)
    return {"plans": plans}


def _plan(region: SimulatedRegion, given: PlanInput) -> JSON:
    given.carry_out(region)
    return _plans(region)


def _clear_plans(region: SimulatedRegion, _: None) -> JSON:
    region.clear_plans()
    return _plans(region)


def _faults(region: SimulatedRegion, _: None = None) -> JSON:
    faults = TypeAdapter(list[Fault]).dump_python(list(region.faults), mode="json", exclude_defaults=True)
    return {"faults": faults}


def _add_fault(region: SimulatedRegion, fault: Fault) -> JSON:
    region.faults.append(fault)
    return _faults(region)


def _clear_faults(region: SimulatedRegion, _: None) -> JSON:
    region.faults.clear()
    return _faults(region)


def _holds(region: SimulatedRegion, _: None = None) -> JSON:
    held = {op: asdict(hold) for op, hold in region.holds.items() if hold != Hold()}
    return {"holds": [{"op": op, **hold} for op, hold in held.items()]}


def _hold(region: SimulatedRegion, given: HoldInput) -> JSON:
    region.hold(op=given.op, before=given.before, after=given.after)
    return _holds(region)


def _end_holds(region: SimulatedRegion, _: None) -> JSON:
    region.holds.clear()
    return _holds(region)


def _restart(region: SimulatedRegion, given: Restart) -> JSON:
    region.restart(given.seconds)
    return {"seconds": given.seconds}


def _oddities(region: SimulatedRegion, _: None = None) -> JSON:
    shown = [{"machine": system_id, "show": dict(show)} for system_id, show in region.oddities.machines.items()]
    return {"machines": shown, "events": TypeAdapter(list[OddEvents]).dump_python(region.oddities.events, mode="json")}


def _distort(region: SimulatedRegion, odd: OddEvents | OddMachine) -> JSON:
    region.distort(odd)
    return _oddities(region)


def _show_as_is(region: SimulatedRegion, _: None) -> JSON:
    region.show_as_is()
    return _oddities(region)


def _power(region: SimulatedRegion, _: None = None) -> JSON:
    machines = [
        {
            "machine": machine.hostname,
            "stored": machine.power_state,
            "real": machine.real_power,
            "cycles": machine.power_cycles,
        }
        for machine in region.machines.values()
        if machine.power_cycles or machine.real_power != machine.power_state
    ]
    return {"machines": machines}


def _set_power(region: SimulatedRegion, given: PowerInput) -> JSON:
    region.set_power(given.machine, stored=given.stored, real=given.real)
    return _power(region)


def _variant(region: SimulatedRegion, _: None = None) -> JSON:
    return asdict(region.variant)


def _set_variant(region: SimulatedRegion, variant: Variant) -> JSON:
    region.variant = variant
    return _variant(region)


def _costs(region: SimulatedRegion, _: None = None) -> JSON:
    return asdict(region.costs)


def _set_costs(region: SimulatedRegion, costs: Costs) -> JSON:
    region.costs = costs
    return _costs(region)


def _requests(region: SimulatedRegion, _: None = None) -> JSON:
    return {
        "total": region.requests.total,
        "counts": [asdict(count) for count in count_requests(region.requests)],
        "latest": [asdict(record) for record in region.requests[-LATEST:]],
    }


def _forget_requests(region: SimulatedRegion, _: None) -> JSON:
    region.requests.clear()
    return _requests(region)


def _by_form(act: Callable[[SimulatedRegion], Callable[..., None]]) -> Callable[[SimulatedRegion, FormAct], object]:
    def carry_out(region: SimulatedRegion, given: FormAct) -> object:
        act(region)(given.machine, given.user, **given.form)
        return _machine(region, given.machine)

    return carry_out


def _abort(region: SimulatedRegion, given: AbortAct) -> object:
    region.abort(given.machine, given.user, given.comment)
    return _machine(region, given.machine)


def _change_owner(region: SimulatedRegion, given: Act) -> object:
    region.change_owner(given.machine, given.user)
    return _machine(region, given.machine)


def _take_over(region: SimulatedRegion, given: TakeOver) -> object:
    region.take_over(given.machine, given.user, released_by=given.released_by, because=given.because, **given.form)
    return _machine(region, given.machine)


def _delete(region: SimulatedRegion, given: DeleteAct) -> object:
    region.delete(given.machine)
    return {"machines": len(region.machines)}


def _machine(region: SimulatedRegion, name: str) -> JSON:
    machine = region.machine(name)
    return {
        "system_id": machine.system_id,
        "hostname": machine.hostname,
        "status_name": machine.status_name,
        "owner": machine.owner,
    }


NO_BODY: Final = type(None)
COMMANDS: Final[tuple[Command[Any], ...]] = (
    Command("GET", "/", "The number of machines, and all commands.", _overview, NO_BODY),
    Command("GET", "/clock", "The mode and speed of the clock, and the simulated time.", _clock, NO_BODY),
    Command(
        "PUT",
        "/clock",
        "Change how simulated time passes from now on. The simulated time does not jump.",
        _set_clock,
        Clock,
    ),
    Command("POST", "/clock/advance", "Advance the clock at once, in any mode.", _advance, Advance),
    Command("GET", "/plans", "Planned failures that have not happened yet.", _plans, NO_BODY),
    Command("POST", "/plans", "Plan a failure of a machine, a BMC or a rack controller.", _plan, PlanInput),
    Command("DELETE", "/plans", "Remove all plans. BMCs and rack controllers work again.", _clear_plans, NO_BODY),
    Command("GET", "/faults", "The faults that wait for matching requests.", _faults, NO_BODY),
    Command("POST", "/faults", "Add a fault.", _add_fault, Fault),
    Command("DELETE", "/faults", "Remove all faults.", _clear_faults, NO_BODY),
    Command("GET", "/holds", "The operations whose requests are held.", _holds, NO_BODY),
    Command("PUT", "/holds", "Hold the requests of an operation.", _hold, HoldInput),
    Command("DELETE", "/holds", "End all holds.", _end_holds, NO_BODY),
    Command("GET", "/oddities", "The values that are shown instead of the real ones.", _oddities, NO_BODY),
    Command("POST", "/oddities/events", "Show events with other values, or hide them.", _distort, OddEvents),
    Command("POST", "/oddities/machines", "Show a machine with other values than its own.", _distort, OddMachine),
    Command("DELETE", "/oddities", "Show the real values again.", _show_as_is, NO_BODY),
    Command(
        "GET",
        "/power",
        "Machines with a wrong stored power state, and machines that were power-cycled.",
        _power,
        NO_BODY,
    ),
    Command("PUT", "/power", "Set the stored and the real power state of a machine.", _set_power, PowerInput),
    Command("GET", "/variant", "The region's behaviour where regions of MAAS 3.7.3 differ.", _variant, NO_BODY),
    Command(
        "PUT", "/variant", "Change the region's behaviour where regions of MAAS 3.7.3 differ.", _set_variant, Variant
    ),
    Command("GET", "/costs", "How long requests take.", _costs, NO_BODY),
    Command("PUT", "/costs", "Change how long requests take. Fields that are left out are zero.", _set_costs, Costs),
    Command("POST", "/restart", "Refuse connections for a while. The region keeps its state.", _restart, Restart),
    Command(
        "GET",
        "/requests",
        "The number of requests, counts by kind, and the latest requests.",
        _requests,
        NO_BODY,
    ),
    Command("DELETE", "/requests", "Forget all requests and count from zero.", _forget_requests, NO_BODY),
    Command("POST", "/acts/deploy", "Another user deploys a machine.", _by_form(lambda to: to.deploy), FormAct),
    Command("POST", "/acts/release", "Another user releases a machine.", _by_form(lambda to: to.release), FormAct),
    Command("POST", "/acts/abort", "Another user aborts a machine's operation.", _abort, AbortAct),
    Command("POST", "/acts/change_owner", "Another user takes a machine over.", _change_owner, Act),
    Command("POST", "/acts/take_over", "Another user releases a machine and deploys it at once.", _take_over, TakeOver),
    Command("POST", "/acts/delete", "Another user deletes a machine.", _delete, DeleteAct),
)
"""All commands of the control API."""
