"""Advice on a machine depends on its owner."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.maas.models import Machine
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.judging.advice import Advice, after_end, before_start

DESTROYS = ("elease it", "ommission it", "override", "mark", "erase", "deploy it again")


def machine(status: MachineStatus, owner: str | None) -> Machine:
    return Machine(
        system_id="abc123", hostname="node01", status=status, status_name=status.display, owner=owner, power_state="on"
    )


def said(advice: Advice) -> str:
    return " ".join([advice.hint or "", *(step.sentence for step in advice.next_steps)])


@given(status=st.sampled_from(MachineStatus), caller=st.sampled_from(["admin", None]))
@pytest.mark.parametrize("advise", [after_end, before_start])
def test_the_only_advice_on_another_users_machine_is_to_ask_the_owner(
    advise: Callable[[Machine, str | None], Advice], status: MachineStatus, caller: str | None
) -> None:
    advice = said(advise(machine(status, "bob"), caller))

    assert "Ask bob" in advice
    assert not [each for each in DESTROYS if each in advice]


@given(status=st.sampled_from(MachineStatus), owner=st.sampled_from(["admin", None]))
def test_advice_after_an_operation_never_destroys_a_workload(status: MachineStatus, owner: str | None) -> None:
    advice = after_end(machine(status, owner), "admin")

    assert status is not MachineStatus.DEPLOYED or advice == Advice()
    assert "destroys its workload" not in said(advice)


def test_advice_before_a_start_says_what_to_do_first_and_what_it_destroys() -> None:
    advice = before_start(machine(MachineStatus.DEPLOYED, "admin"), "admin")

    assert advice == Advice("Release it first; this destroys its workload.")


@pytest.mark.parametrize(
    ("status", "tool"),
    [
        (MachineStatus.BROKEN, "machine mark-fixed"),
        (MachineStatus.FAILED_TESTING, "machine override-failed-testing"),
        (MachineStatus.RESCUE_MODE, "machine exit-rescue-mode"),
    ],
)
def test_a_suggested_call_has_its_arguments(status: MachineStatus, tool: str) -> None:
    (step,) = after_end(machine(status, "admin"), "admin").next_steps

    assert (step.tool, step.arguments) == (tool, {"system_id": "abc123"})
