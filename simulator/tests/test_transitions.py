"""For every operation of MAAS 3.7: the statuses that accept it, its immediate effect, and its error messages."""

from typing import Any

import pytest

from maas_simulator import SimulatedRegion
from maas_simulator.model.statuses import Status

HOUR = 3600.0

UNDER_WAY = {
    Status.COMMISSIONING,
    Status.DEPLOYING,
    Status.RELEASING,
    Status.DISK_ERASING,
    Status.ENTERING_RESCUE_MODE,
    Status.EXITING_RESCUE_MODE,
    Status.TESTING,
}

TAKEN: dict[str, dict[Status, Status]] = {
    "deploy": dict.fromkeys((Status.READY, Status.ALLOCATED), Status.DEPLOYING),
    "commission": dict.fromkeys(
        (Status.NEW, Status.FAILED_COMMISSIONING, Status.READY, Status.BROKEN), Status.COMMISSIONING
    ),
    "test": dict.fromkeys(set(Status) - UNDER_WAY, Status.TESTING),
    "release": {
        **dict.fromkeys(
            (Status.ALLOCATED, Status.RESERVED, Status.BROKEN, Status.DEPLOYING, Status.DEPLOYED), Status.RELEASING
        ),
        **dict.fromkeys(
            (Status.FAILED_DEPLOYMENT, Status.FAILED_DISK_ERASING, Status.FAILED_RELEASING), Status.RELEASING
        ),
        Status.RELEASING: Status.RELEASING,
        Status.READY: Status.READY,
    },
    "abort": {
        Status.COMMISSIONING: Status.NEW,
        Status.DEPLOYING: Status.ALLOCATED,
        Status.TESTING: Status.DEPLOYED,  # the previous status in this test
        Status.DISK_ERASING: Status.FAILED_DISK_ERASING,
    },
    "rescue_mode": dict.fromkeys(
        set(Status) - UNDER_WAY - {Status.RESCUE_MODE, Status.FAILED_RELEASING, Status.FAILED_EXITING_RESCUE_MODE}
        | {Status.ENTERING_RESCUE_MODE},
        Status.ENTERING_RESCUE_MODE,
    ),
    "exit_rescue_mode": dict.fromkeys(
        (
            Status.RESCUE_MODE,
            Status.ENTERING_RESCUE_MODE,
            Status.FAILED_ENTERING_RESCUE_MODE,
            Status.EXITING_RESCUE_MODE,
            Status.FAILED_EXITING_RESCUE_MODE,
        ),
        Status.EXITING_RESCUE_MODE,
    ),
    "lock": {Status.DEPLOYED: Status.DEPLOYED, Status.DEPLOYING: Status.DEPLOYING},
    "mark_broken": dict.fromkeys(Status, Status.BROKEN),
    "mark_fixed": {Status.BROKEN: Status.DEPLOYED},  # the previous status in this test
    "override_failed_testing": {Status.FAILED_TESTING: Status.READY},
}

REFUSED = {
    "deploy": (409, "Can't deploy a machine that is in the '{status}' state"),
    "commission": (400, '{{"__all__": ["Commission is not available because of the current state of the node."]}}'),
    "test": (400, '{{"__all__": ["Test is not available because of the current state of the node."]}}'),
    "release": (409, "Machine cannot be released in its current state ('{status}')."),
    "abort": (409, "Cannot abort in current state: node fyc3ff is in state {status}."),
    "rescue_mode": (409, "Invalid transition: {status} -> Entering rescue mode."),
    "exit_rescue_mode": (409, "Invalid transition: {status} -> Exiting rescue mode."),
    "lock": (409, "Can't lock, node is not deployed or deploying"),
    "mark_fixed": (409, "Can't mark a non-broken node as 'Ready'."),
    "override_failed_testing": (409, "Unable to override node status. Node is not in 'Failed testing' status."),
}


def put(region: SimulatedRegion, status: Status, **fields: Any) -> None:
    """Put node02 into this status, owned by the administrator and switched on."""
    machine = region.machine("node02")
    machine.status, machine.owner, machine.power_state = status, "admin", "on"
    machine.previous_status = Status.DEPLOYED
    for name, value in fields.items():
        setattr(machine, name, value)


@pytest.mark.parametrize("status", Status, ids=lambda status: status.name)
@pytest.mark.parametrize("op", TAKEN)
def test_an_operation_is_accepted_in_some_statuses_and_rejected_in_all_others(
    admin: Any, region: SimulatedRegion, op: str, status: Status
) -> None:
    put(region, status)

    answer = admin.op("node02", op)

    if status in TAKEN[op]:
        assert (answer.status_code, region.machine("node02").status) == (200, TAKEN[op][status])
    else:
        code, words = REFUSED[op]
        assert (answer.status_code, answer.text) == (code, words.format(status=status.display))
        assert region.machine("node02").status is status


@pytest.mark.parametrize("end", [Status.READY, Status.NEW], ids=lambda each: each.name)
@pytest.mark.parametrize(
    "status", sorted(set(TAKEN["release"]) - {Status.READY, Status.RELEASING}), ids=lambda each: each.name
)
def test_a_released_machine_is_ready_unless_it_was_never_commissioned(
    admin: Any, region: SimulatedRegion, clock: Any, status: Status, end: Status
) -> None:
    put(region, status, known=end is Status.READY, osystem="ubuntu")
    admin.op("node02", "release")
    clock.pass_(HOUR)
    machine = region.machine("node02")
    assert (machine.status, machine.owner, machine.power_state, machine.osystem) == (end, None, "off", "")


@pytest.mark.parametrize("status", sorted(TAKEN["test"]), ids=lambda each: each.name)
def test_passed_tests_restore_the_status_of_a_machine_in_use_and_make_others_ready(
    admin: Any, region: SimulatedRegion, clock: Any, status: Status
) -> None:
    put(region, status)
    admin.op("node02", "test")
    clock.pass_(HOUR)
    back = {Status.RESERVED, Status.ALLOCATED, Status.DEPLOYED, Status.RESCUE_MODE}
    end = status if status in back else Status.NEW if status is Status.FAILED_COMMISSIONING else Status.READY
    assert region.machine("node02").status is end


@pytest.mark.parametrize("status", sorted(TAKEN["rescue_mode"].keys() - UNDER_WAY), ids=lambda each: each.name)
def test_leaving_rescue_mode_restores_the_status(
    admin: Any, region: SimulatedRegion, clock: Any, status: Status
) -> None:
    put(region, status)
    admin.op("node02", "rescue_mode")
    clock.pass_(HOUR)
    assert region.machine("node02").status is Status.RESCUE_MODE
    admin.op("node02", "exit_rescue_mode")
    clock.pass_(HOUR)
    machine = region.machine("node02")
    assert (machine.status, machine.power_state) == (status, "on" if status is Status.DEPLOYED else "off")


def test_aborted_tests_make_a_commissioned_machine_ready_and_restore_others(
    admin: Any, region: SimulatedRegion, clock: Any
) -> None:
    admin.op("node10", "commission")
    while region.machine("node10").status is not Status.TESTING:
        clock.pass_(1)
    admin.op("node10", "abort")
    admin.op("node07", "test")
    clock.pass_(60)
    admin.op("node07", "abort")
    tested = region.machine("node07")
    assert region.machine("node10").status is Status.READY
    assert (tested.status, tested.owner, tested.power_state) == (Status.DEPLOYED, "admin", "off"), "out of its system"


@pytest.mark.parametrize(
    ("op", "status"),
    [
        *((op, Status.DEPLOYING) for op in ("deploy", "release", "abort", "power_on", "power_off", "mark_broken")),
        ("rescue_mode", Status.DEPLOYED),
        ("exit_rescue_mode", Status.RESCUE_MODE),
        ("mark_fixed", Status.BROKEN),
        ("override_failed_testing", Status.FAILED_TESTING),
    ],
)
def test_operations_on_a_locked_machine_are_forbidden(
    admin: Any, region: SimulatedRegion, op: str, status: Status
) -> None:
    put(region, status, locked=True)
    answer = admin.op("node02", op)
    assert (answer.status_code, answer.text) == (403, "")
    assert region.machine("node02").status is status


@pytest.mark.parametrize(("op", "status"), [("test", Status.DEPLOYED), ("commission", Status.READY)])
def test_testing_a_locked_machine_is_rejected(admin: Any, region: SimulatedRegion, op: str, status: Status) -> None:
    put(region, status, locked=True)
    answer = admin.op("node02", op)
    assert (answer.status_code, answer.text) == (REFUSED[op][0], REFUSED[op][1].format())


def test_a_machine_of_another_user_is_neither_deployed_nor_released_nor_seen(
    admin: Any, bob: Any, region: SimulatedRegion
) -> None:
    put(region, Status.READY, owner="bob")  # as after a deployment without a rack controller
    refused = admin.op("node02", "deploy")
    assert (refused.status_code, refused.text) == (409, "Can't allocate a machine belonging to another user.")
    assert bob.op("node02", "deploy").json()["owner"] == "bob"
    for op in ("deploy", "release", "abort", "lock"):
        assert bob.op("node06", op).status_code == 403
    assert "node06" not in {machine["hostname"] for machine in bob.get("machines/").json()}


def test_the_first_user_deploys_a_ready_machine(admin: Any, bob: Any, region: SimulatedRegion) -> None:
    assert bob.op("node02", "deploy").status_code == 200
    second = admin.op("node02", "deploy")
    assert (second.status_code, second.text) == (409, "Can't deploy a machine that is in the 'Deploying' state")
    assert region.machine("node02").owner == "bob"


def test_a_machine_being_released_is_ready_once_it_is_switched_off(admin: Any, region: SimulatedRegion) -> None:
    admin.op("node07", "release")
    assert region.machine("node07").status is Status.RELEASING
    admin.op("node07", "power_off")
    assert region.machine("node07").status is Status.READY
