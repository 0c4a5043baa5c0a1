"""What is advised about a machine depends on whose it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.maas.models import Machine
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.operations.judging.advice import before_start, next_step

DESTROYS = ("elease it", "ommission it", "override", "mark_fixed", "erase", "deploy it again")


def machine(status: MachineStatus, owner: str | None) -> Machine:
    return Machine(
        system_id="abc123", hostname="node01", status=status, status_name=status.display, owner=owner, power_state="on"
    )


@given(status=st.sampled_from(MachineStatus), caller=st.sampled_from(["admin", None]))
@pytest.mark.parametrize("advise", [next_step, before_start])
def test_nothing_is_advised_about_a_machine_of_somebody_else_but_to_ask_them(
    advise: object, status: MachineStatus, caller: str | None
) -> None:
    assert callable(advise)
    advice = advise(machine(status, "bob"), caller)

    assert "Ask bob" in advice
    assert not [each for each in DESTROYS if each in advice]


@given(status=st.sampled_from(MachineStatus), owner=st.sampled_from(["admin", None]))
def test_after_an_operation_nothing_is_advised_that_ends_what_runs_on_the_machine(
    status: MachineStatus, owner: str | None
) -> None:
    advice = next_step(machine(status, owner), "admin") or ""

    assert status is not MachineStatus.DEPLOYED or advice == ""
    assert "what runs on it is lost" not in advice


def test_before_a_start_the_owner_is_told_what_is_in_its_way_and_what_that_costs() -> None:
    advice = before_start(machine(MachineStatus.DEPLOYED, "admin"), "admin")

    assert advice == "Release it first; what runs on it is lost then."
