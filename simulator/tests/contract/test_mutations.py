"""The contract detects deviations from MAAS. Each of these would mislead a client."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, Status, state
from maas_simulator.http import app, calls, endpoints, machine_routes
from maas_simulator.http.calls import Call, as_form, parse_body
from maas_simulator.http.machine_routes import Operation
from maas_simulator.http.render import machine_json
from maas_simulator.model import auth
from maas_simulator.model.auth import Authenticator
from maas_simulator.model.events import EventLog
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.refusals import HTML, Refusal
from maas_simulator.operations import constraints, timed_operations
from maas_simulator.operations.deployment_stages import TO_DISK
from maas_simulator.operations.rules import RULES
from maas_simulator.state import RegionState
from simulator.tests.contract.replay import outcomes, replay

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Deviation:
    """A deviation of the simulator, and the exchange that detects it."""

    does: str
    patch: Callable[[Patch], None]
    noticed_by: str

    @property
    def topic(self) -> str:
        """The topic of that exchange."""
        return self.noticed_by.partition(":")[0]


def _upper_case_statuses(patch: Patch) -> None:
    patch.setattr(Status, "display", property(lambda self: self.name))


def _redirects_to_the_slash(patch: Patch) -> None:
    patch.setattr(app, "no_such_endpoint", lambda path: Refusal(301, "", HTML, {"Location": f"{path}/"}))


def _reads_json(patch: Patch) -> None:
    def parse(content_type: str, body: bytes) -> tuple[dict[str, list[str]], object]:
        form, data = parse_body(content_type, body)
        return (form, form) if data is form else (as_form(data), data)

    patch.setattr(app, "parse_body", parse)


def _erases_for_true_only(patch: Patch) -> None:
    patch.setattr(timed_operations, "loose_boolean", lambda form, name: list(form.get(name, ())) == ["true"])


def _oldest_events_first(patch: Patch) -> None:
    query = EventLog.query
    patch.setattr(EventLog, "query", lambda *args, **options: query(*args, **options)[::-1])


def _change_rule(patch: Patch, op: str, **changes: Any) -> None:
    handlers = next(each.handlers for each in endpoints.ENDPOINTS if each.name == "Machine")
    patch.setitem(handlers, ("POST", op), Operation(replace(RULES[op], **changes)))


def _always_deploys(patch: Patch) -> None:
    _change_rule(patch, "deploy", statuses=frozenset(Status))


def _always_commissions(patch: Patch) -> None:
    _change_rule(patch, "commission", statuses=frozenset(Status))


def _shows_the_new_status_of_an_abort(patch: Patch) -> None:
    _change_rule(patch, "abort", keeps=("power_state",))


def _lists_nothing_without_credentials(patch: Patch) -> None:
    patch.setattr(endpoints, "ENDPOINTS", tuple(replace(each, anonymous=()) for each in endpoints.ENDPOINTS))


def _takes_a_nonce_twice(patch: Patch) -> None:
    patch.setattr(Authenticator, "_check_nonce", lambda _self, _given, _then: None)


def _takes_no_old_timestamp(patch: Patch) -> None:
    patch.setattr(auth, "MAX_AGE", 200)


def _hides_the_secret(patch: Patch) -> None:
    refusal = auth._refusal
    patch.setattr(auth, "_refusal", lambda reason: refusal(reason.partition(" Expected")[0]))


def _ignores_unknown_filters(patch: Patch) -> None:
    patch.setattr(constraints, "NOT_FILTERS", {*constraints.NOT_FILTERS, "colour", "limit", "offset"})


def _status_message_is_the_status(patch: Patch) -> None:
    set_status = SimulatedRegion.set_status

    def and_message(self: SimulatedRegion, machine: SimulatedMachine, status: Status) -> None:
        set_status(self, machine, status)
        machine.status_message = status.display

    patch.setattr(SimulatedRegion, "set_status", and_message)


def _boots_once(patch: Patch) -> None:
    *stages, local_boot = TO_DISK
    patch.setattr(timed_operations, "TO_DISK", (*stages, replace(local_boot, on_start=())))


def _does_not_say_when_to_retry(patch: Patch) -> None:
    patch.setattr(state, "rack_down", lambda _rack: Refusal(503, "no connections available"))


def _unlocks_itself(patch: Patch) -> None:
    patch.setattr(Call, "check_permission", lambda *_: None)


def _says_why_it_forbids(patch: Patch) -> None:
    patch.setattr(calls, "forbidden", lambda: Refusal(403, "You may not do this."))


def _answers_head(patch: Patch) -> None:
    handlers = next(each.handlers for each in endpoints.ENDPOINTS if each.name == "Machine")
    patch.setitem(handlers, ("HEAD", None), handlers["GET", None])


def _forgets_a_field(patch: Patch) -> None:
    def without(*args: Any) -> dict[str, object]:
        return {name: value for name, value in machine_json(*args).items() if name != "is_dpu"}

    patch.setattr(machine_routes, "machine_json", without)


def _fails_a_deploy_at_once(patch: Patch) -> None:
    """Check the power before the response, not after it."""
    deploy = timed_operations.deploy

    def checked(where: RegionState, machine: SimulatedMachine, *args: Any) -> None:
        if (failure := where.power_failure(machine, "on")) is not None:
            raise failure
        deploy(where, machine, *args)

    _change_rule(patch, "deploy", act=checked)


DEVIATIONS = (
    Deviation("status names in upper case", _upper_case_statuses, "03-machine-read: read one Ready machine"),
    Deviation(
        "a redirect where the slash is missing",
        _redirects_to_the_slash,
        "02-machines-list: list without trailing slash",
    ),
    Deviation("JSON bodies count", _reads_json, "07-deploy: JSON body: deploy with a bad distro_series"),
    Deviation("erase=perhaps is false", _erases_for_true_only, "11-release: bad erase value"),
    Deviation("events come oldest first", _oldest_events_first, "07-deploy: events after abort"),
    Deviation("a second deploy is a 200", _always_deploys, "07-deploy: deploy an already Deploying machine"),
    Deviation(
        "a second commissioning is a 200", _always_commissions, "12-commission: commission a Commissioning machine"
    ),
    Deviation(
        "the answer to an abort shows the new status",
        _shows_the_new_status_of_an_abort,
        "07-deploy: abort a Deploying machine",
    ),
    Deviation(
        "a list without credentials is a 401", _lists_nothing_without_credentials, "04-auth-errors: no oauth_timestamp"
    ),
    Deviation("a nonce counts twice", _takes_a_nonce_twice, "04-auth-errors: nonce second use (replay)"),
    Deviation("timestamps expire early", _takes_no_old_timestamp, "04-auth-errors: old timestamp (-299 s)"),
    Deviation("a 401 keeps the secret", _hides_the_secret, "04-auth-errors: bad secret (signature)"),
    Deviation(
        "unknown filters are taken, and so are pages", _ignores_unknown_filters, "02-machines-list: unknown filter"
    ),
    Deviation("status_message does not lag", _status_message_is_the_status, "06-allocate: allocate node03"),
    Deviation("there is no second PXE boot", _boots_once, "07-deploy: events of it, DEBUG"),
    Deviation("a 503 without Retry-After", _does_not_say_when_to_retry, "09-power: power_off, rack down"),
    Deviation("a lock does not hold", _unlocks_itself, "10-lock: release a locked machine"),
    Deviation("a 403 has words", _says_why_it_forbids, "04-auth-errors: plain user: deploy a machine owned by admin"),
    Deviation("HEAD is answered", _answers_head, "03-machine-read: HEAD"),
    Deviation("one of the 81 fields is missing", _forgets_a_field, "03-machine-read: read one Deployed machine"),
    Deviation("a deploy without power fails at once", _fails_a_deploy_at_once, "09-power: deploy, BMC fails"),
)


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: deviation.does)
def test_a_deviation_is_noticed(deviation: Deviation, monkeypatch: Patch) -> None:
    as_it_is = {outcome.name for outcome in outcomes(deviation.topic) if outcome.same}
    assert deviation.noticed_by in as_it_is
    deviation.patch(monkeypatch)
    deviating = {outcome.name for outcome in replay(deviation.topic) if not outcome.same}
    assert deviation.noticed_by in deviating
