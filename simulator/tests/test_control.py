"""The control API: all commands, in process, and its error messages."""

from typing import Any

import pytest

from maas_simulator import Planned, SimulatedRegion
from maas_simulator.control import COMMANDS
from simulator.tests.conftest import Control


def test_the_root_lists_all_commands(control: Control) -> None:
    status, answer = control("GET", "/")
    assert status == 200
    assert answer["machines"] == 12
    assert set(answer["commands"]) == {f"{command.method} {command.path}" for command in COMMANDS}


def test_the_clock_can_be_read_set_and_moved(control: Control, region: SimulatedRegion, clock: Any) -> None:
    assert control("PUT", "/clock", {"mode": "manual"})[1]["mode"] == "manual"
    region.deploy("node02", "admin")
    clock.pass_(5000)
    before = control("GET", "/clock")[1]
    assert before["speed"] == 0
    control("POST", "/clock/advance", {"seconds": 900})
    assert region.machine("node02").status_name == "Deployed"
    assert control("PUT", "/clock", {"mode": "scaled", "speed": 30})[1]["speed"] == 30
    assert control("PUT", "/clock", {"mode": "real"})[1] == {
        "mode": "real",
        "speed": 1,
        "now": control("GET", "/clock")[1]["now"],
    }


def test_plans_are_added_listed_and_removed(control: Control, region: SimulatedRegion) -> None:
    wanted = [
        {"machine": "node03", "fail": "40-maas-01-machine-config-hints", "reason": "no hints"},
        {"machine": "node04", "hang": "Installing OS"},
        {"machine": "node05", "bmc_down": True},
        {"machine": "node06", "bmc_down": True, "errors": "agent"},
        {"machine": "node07", "bmc_down": True, "reason": "no route"},
        {"rack_down": "bwdhs4"},
    ]
    for plan in wanted:
        status, answer = control("POST", "/plans", plan)
        assert status == 200
    assert sorted(answer["plans"], key=str) == sorted(wanted, key=str)
    assert Planned("node05", bmc_down=True) in region.plans()
    assert control("DELETE", "/plans") == (200, {"plans": []})
    assert region.plans() == []


@pytest.mark.parametrize(
    "fault",
    [
        {"op": "deploy", "answer": "database conflict"},
        {"path": "events/", "delay": {"seconds": 0.2, "distribution": "lognormal", "spread": 0.5, "seed": 1}},
        {"method": "GET", "spoil": "truncated", "times": None},
        {"drop": "headers", "times": 3},
        {"limit": {"requests": 5, "seconds": 1}, "times": None},
        {"status": 418, "body": "tea", "headers": {"X-Pot": "1"}},
    ],
)
def test_a_fault_from_the_control_equals_one_from_python(
    control: Control, region: SimulatedRegion, fault: dict[str, Any]
) -> None:
    status, answer = control("POST", "/faults", fault)
    assert status == 200
    assert fault.items() <= answer["faults"][0].items()
    (made,) = region.faults
    assert made.status == answer["faults"][0].get("status")
    assert control("GET", "/faults") == (200, answer)
    assert control("DELETE", "/faults") == (200, {"faults": []})
    assert region.faults == []
    assert control("POST", "/faults", answer["faults"][0]) == (200, answer)


def test_a_fault_from_the_control_applies_to_a_request(control: Control, admin: Any) -> None:
    control("POST", "/faults", {"path": "version/", "status": 502, "body": "<p>no</p>"})
    assert [admin.get("version/").status_code for _ in range(2)] == [502, 200]


def test_holds_are_set_changed_and_ended(control: Control, region: SimulatedRegion) -> None:
    held = {"holds": [{"op": "deploy", "before": 1.5, "after": 0.0}]}
    assert control("PUT", "/holds", {"op": "deploy", "before": 1.5}) == (200, held)
    assert control("GET", "/holds") == (200, held)
    assert control("PUT", "/holds", {"op": "deploy"}) == (200, {"holds": []})
    control("PUT", "/holds", {"op": "deploy", "after": 1})
    assert control("DELETE", "/holds") == (200, {"holds": []})
    assert region.holds == {}


def test_a_restart_ends_after_its_seconds(control: Control, region: SimulatedRegion, clock: Any) -> None:
    assert control("POST", "/restart", {"seconds": 3}) == (200, {"seconds": 3})
    assert region.is_restarting
    clock.pass_(3)
    assert not region.is_restarting


def test_requests_are_counted_and_forgotten(control: Control, admin: Any) -> None:
    for name in ("7xneda", "fyc3ff"):
        admin.get(f"machines/{name}/")
    admin.op("node02", "deploy", distro_series="jammy")
    answer = control("GET", "/requests")[1]
    assert answer["total"] == 3
    assert answer["counts"] == [
        {"method": "GET", "path": "machines/{system_id}/", "op": None, "count": 2},
        {"method": "POST", "path": "machines/{system_id}/", "op": "deploy", "count": 1},
    ]
    assert [each["status"] for each in answer["latest"]] == [200, 200, 200]
    assert answer["latest"][-1]["form"] == {"distro_series": ["jammy"]}
    assert control("DELETE", "/requests")[1] == {"total": 0, "counts": [], "latest": []}


def test_a_request_with_text_that_has_no_encoding_is_shown(control: Control, admin: Any) -> None:
    headers = {**admin.signed(), "Content-Type": "application/json"}
    admin.send("POST", "machines/fyc3ff/?op=test", headers, content=b'{"testing_scripts": "\\ud800"}')
    assert control("GET", "/requests")[1]["latest"][0]["form"] == {"testing_scripts": ["\ud800"]}


def test_other_users_act(control: Control, region: SimulatedRegion, admin: Any) -> None:
    given = {"machine": "node02", "user": "bob", "form": {"distro_series": "jammy"}}
    assert control("POST", "/acts/deploy", given)[1] == {
        "system_id": "fyc3ff",
        "hostname": "node02",
        "status_name": "Deploying",
        "owner": "bob",
    }
    assert region.machine("node02").distro_series == "jammy"
    abort = {"machine": "fyc3ff", "user": "bob", "comment": "a mistake"}
    assert control("POST", "/acts/abort", abort)[1]["status_name"] == "Allocated"
    assert ("DEBUG", "User aborting deployment", "(bob) - a mistake") in admin.said("node02")
    assert control("POST", "/acts/release", {"machine": "node02", "user": "bob"})[1]["status_name"] == "Ready"
    assert control("POST", "/acts/change_owner", {"machine": "node07", "user": "bob"})[1]["owner"] == "bob"
    assert control("POST", "/acts/delete", {"machine": "node12"}) == (200, {"machines": 11})
    assert admin.get("machines/gpxwc3/").status_code == 404


def test_actions_of_other_users_ignore_permissions_and_locks(control: Control) -> None:
    taken = control("POST", "/acts/change_owner", {"machine": "node08", "user": "bob"})[1]
    assert (taken["status_name"], taken["owner"]) == ("Allocated", "bob")
    status, _ = control("POST", "/acts/deploy", {"machine": "node01", "user": "admin"})
    assert status == 200
    assert control("POST", "/acts/abort", {"machine": "node01", "user": "bob"})[1]["owner"] == "admin"


def test_a_form_parameter_may_have_the_name_of_a_python_parameter(control: Control, region: SimulatedRegion) -> None:
    form = {"name": "x", "username": "y", "distro_series": "noble"}
    status, _ = control("POST", "/acts/deploy", {"machine": "node02", "user": "bob", "form": form})
    assert status == 200
    assert region.machine("node02").owner == "bob"


def test_a_rejection_by_maas_is_a_409_with_its_message(control: Control) -> None:
    status, answer = control("POST", "/acts/abort", {"machine": "node01", "user": "bob"})
    assert status == 409
    words = "Cannot abort in current state: node 7xneda is in state Ready."
    assert answer["error"] == f"MAAS rejects this with status 409: {words}"


@pytest.mark.parametrize(
    ("path", "given", "words"),
    [
        ("/clock/advance", {"seconds": -1}, "seconds: Input should be greater than 0"),
        ("/clock/advance", {}, "seconds: Field required"),
        ("/clock/advance", {"second": 1}, "second: unknown key; the keys are: seconds"),
        ("/clock/advance", [], "expected an object with keys and values"),
        ("/plans", {"machine": "node03"}, "a plan needs exactly one of fail, hang, bmc_down and rack_down"),
        ("/plans", {"machine": "node03", "rack_down": "bwdhs4"}, "machine is needed with fail, hang and bmc_down"),
        ("/plans", {"bmc_down": True}, "machine is needed with"),
        (
            "/plans",
            {"machine": "node03", "hang": "Rebooting", "reason": "x"},
            "reason is allowed only with fail and bmc_down",
        ),
        (
            "/plans",
            {"machine": "node03", "fail": "Rebooting", "errors": "agent"},
            "errors is allowed only with bmc_down",
        ),
        (
            "/plans",
            {"machine": "node03", "bmc_down": True, "errors": "x"},
            "errors: Input should be 'driver' or 'agent'",
        ),
        ("/plans", {"machine": "node99", "bmc_down": True}, "there is no machine 'node99'; the machines are: node01"),
        (
            "/plans",
            {"machine": "node03", "fail": "Reboot"},
            "no operation has a stage 'Reboot'; the stages and scripts are: 20-maas",
        ),
        ("/plans", {"rack_down": "x"}, "there is no rack controller 'x'; the rack controllers are: bwdhs4"),
        ("/faults", {"times": 0}, "times: Input should be greater than or equal to 1"),
        ("/faults", {"stat": 500}, "stat: unknown key; the keys are: status, body, headers, op"),
        ("/faults", {"delay": {"second": 1}}, "delay.second: unknown key; the keys are: seconds, distribution"),
        ("/faults", {"delay": {"seconds": -1}}, "delay.seconds: Input should be greater than or equal to 0"),
        ("/faults", {"status": 99999}, "status: Input should be less than or equal to 599"),
        ("/faults", {"status": 0}, "status: Input should be greater than or equal to 200"),
        ("/faults", {"status": 204, "body": "tea"}, "a response with status 204 has no body"),
        ("/faults", {"headers": {"X-A": "b\r\nc"}}, "headers: HTTP does not allow the header 'X-A' with"),
        ("/faults", {"headers": {"X-A": "\N{EURO SIGN}"}}, "headers: HTTP does not allow the header 'X-A' with"),
        ("/faults", {"headers": {"X A": "b"}}, "headers: HTTP does not allow the header 'X A' with"),
        ("/faults", {"headers": {"Content-Length": "3"}}, "headers: Content-Length cannot be set"),
        ("/faults", {"method": "DEPLOY"}, "method: Input should be 'GET', 'POST', 'PUT'"),
        ("/faults", {"op": "deply"}, "op: MAAS has no operation 'deply'; the closest names are: deploy"),
        (
            "/faults",
            {"drop": "before", "acts": True},
            "acts cannot be combined with a connection that is closed before",
        ),
        (
            "/faults",
            {"delay": {"seconds": 1, "spread": 1}},
            "delay: spread is allowed only with a uniform or lognormal distribution",
        ),
        ("/faults", {"answer": "teapot"}, "answer: Input should be 'bad gateway', 'database conflict'"),
        ("/faults", {"drop": "later"}, "drop: Input should be 'before', 'after', 'headers' or 'body'"),
        ("/faults", {"limit": {"requests": 0, "seconds": 1}}, "limit.requests: Input should be greater than or equal"),
        ("/restart", {"seconds": 0}, "seconds: Input should be greater than 0"),
        ("/acts/deploy", {"machine": "node01"}, "user: Field required"),
        ("/acts/deploy", {"machine": "node01", "user": "eve"}, "there is no user 'eve'; the users are: admin, bob"),
        (
            "/acts/change_owner",
            {"machine": "node07", "user": "eve"},
            "there is no user 'eve'; the users are: admin, bob",
        ),
        ("/acts/take_over", {"machine": "node07", "user": "eve"}, "there is no user 'eve'; the users are: admin, bob"),
        (
            "/acts/take_over",
            {"machine": "node07", "user": "bob", "released_by": "eve"},
            "there is no user 'eve'; the users are: admin, bob",
        ),
        ("/acts/take_over", {"machine": "node10", "user": "bob"}, "a machine that is New cannot be taken over"),
        ("/acts/delete", {"machine": "x"}, "there is no machine 'x'"),
    ],
)
def test_bad_input_is_rejected_with_the_name_of_the_field(control: Control, path: str, given: Any, words: str) -> None:
    assert words in control.refused("POST", path, given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mode": "scaled"}, "speed does not match the mode; set speed in the mode scaled"),
        ({"mode": "manual", "speed": 3}, "leave it out in the others"),
        ({"mode": "fast"}, "mode: Input should be 'real', 'scaled' or 'manual'"),
    ],
)
def test_a_bad_clock_is_rejected(control: Control, given: Any, words: str) -> None:
    assert words in control.refused("PUT", "/clock", given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"op": "deplyo", "before": 5}, "MAAS has no operation 'deplyo'; the closest names are: deploy"),
        ({"op": "deploy", "before": -1}, "before: Input should be greater than or equal to 0"),
    ],
)
def test_a_bad_hold_is_rejected(control: Control, given: Any, words: str) -> None:
    assert words in control.refused("PUT", "/holds", given)


def test_a_body_that_is_not_json_is_rejected(control: Control) -> None:
    assert control.refused("POST", "/faults", content=b"status=500").startswith("the body is not JSON: Expecting value")


def test_infinite_numbers_are_rejected(control: Control) -> None:
    assert "finite" in control.refused("POST", "/restart", content=b'{"seconds": Infinity}')
    assert "less than or equal" in control.refused("POST", "/clock/advance", content=b'{"seconds": Infinity}')


def test_errors_for_unknown_paths_and_methods_list_the_known_ones(control: Control) -> None:
    status, answer = control("GET", "/plan")
    assert status == 404
    assert answer["error"].startswith("there is no path /plan; the paths are: /, /clock,")
    status, answer = control("POST", "/clock")
    assert (status, answer["error"]) == (405, "/clock does not accept POST; it accepts GET, PUT")
