"""The ids in log records: those of the call that a task works for, and none outside of a call."""

import anyio
import pytest

from maas_mcp.calls.log_context import LogContext, log_fields
from maas_mcp.calls.telemetry import Following, ObservedCall
from maas_mcp.operations.declaring.operation_change import ChangeKind, OperationChange

pytestmark = pytest.mark.anyio


def started(operation_id: str) -> OperationChange:
    return OperationChange(
        kind=ChangeKind.STARTED,
        operation="maas_deploy_machine",
        operation_id=operation_id,
        started=0,
        system_id="4y3h7n",
        state="working",
        fraction=0.0,
        message="",
        username=None,
    )


def test_a_call_has_its_ids_until_it_ends() -> None:
    context = LogContext()
    with context.call(ObservedCall("maas_deploy_machine", "alice", 7)):
        assert log_fields() == {"request_id": 7, "principal": "alice", "tool": "maas_deploy_machine"}
        with context.following(Following("maas_deploy_machine", "4y3h7n")):
            context.operation_changed(started("the-id"))
            assert log_fields()["operation_id"] == "the-id"
            assert log_fields()["system_id"] == "4y3h7n"
        assert "operation" not in log_fields()
    assert log_fields() == {}


def test_the_local_user_and_an_unknown_request_have_no_fields() -> None:
    with LogContext().call(ObservedCall("maas_list_machines", "", None)):
        assert log_fields() == {"tool": "maas_list_machines"}


def test_a_change_outside_of_a_call_adds_no_fields() -> None:
    LogContext().operation_changed(started("the-id"))
    assert log_fields() == {}


async def test_two_concurrent_calls_do_not_share_ids() -> None:
    context, seen = LogContext(), dict[int, list[object]]()
    both = anyio.Event()

    async def call(number: int) -> None:
        with context.call(ObservedCall("maas_list_machines", "", number)):
            seen[number] = [log_fields()["request_id"]]
            if len(seen) == 2:
                both.set()
            await both.wait()
            seen[number].append(log_fields()["request_id"])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, 1)
        tasks.start_soon(call, 2)

    assert seen == {1: [1, 1], 2: [2, 2]}
