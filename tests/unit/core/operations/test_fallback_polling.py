"""A failing polling strategy costs an operation only its milestones."""

import logging
import math
from typing import Any

import pytest

from maas_mcp.errors import OperationFailedError
from maas_mcp.operations.judging.assessment import Milestone
from maas_mcp.operations.judging.evidence import Evidence, Observation
from maas_mcp.operations.judging.fallback import FallbackPolling
from maas_mcp.operations.judging.strategies import PollingStrategy, StatusPolling
from tests.house import House
from tests.unit.core.operations.declared import Deploy, Release

pytestmark = pytest.mark.anyio


class Odd(PollingStrategy):
    """Returns valid milestones a few times, then something else."""

    def __init__(self, then: object, after: int = 1) -> None:
        self.asked = 0
        self._then = then
        self._after = after

    def measure(self, evidence: Evidence, observation: Observation) -> Any:  # noqa: ARG002 - it ignores what was observed
        self.asked += 1
        if self.asked <= self._after:
            return Milestone(0.5, "Half way")
        if isinstance(self._then, BaseException):
            raise self._then
        return self._then


class OddRelease(Release):
    """Release."""

    name = "maas_release_oddly"


@pytest.mark.parametrize(
    "then",
    [
        ValueError("boom"),
        SystemExit(3),
        KeyboardInterrupt(),
        None,
        0.5,
        (0.5, "Half way"),
        Milestone,
        Milestone("0.5", "Half way"),  # type: ignore[arg-type] # invalid on purpose, as all below
        Milestone(0.5, None),  # type: ignore[arg-type]
        Milestone(0.5, 7),  # type: ignore[arg-type]
        Milestone({}, "Half way"),  # type: ignore[arg-type]
        Milestone(1j, "Half way"),  # type: ignore[arg-type]
    ],
    ids=repr,
)
async def test_a_strategy_that_fails_is_replaced_for_this_operation_and_logged_once(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, then: object
) -> None:
    caplog.set_level(logging.WARNING, "maas_mcp")
    strategy = Odd(then)
    monkeypatch.setattr(OddRelease, "polling", strategy)

    result = await house.run("node07", OddRelease)

    assert result.status_name == "Ready"
    assert house.posts == 1
    assert house.reported[-1].value == 1.0
    (entry,) = caplog.records
    assert "maas_release_oddly: Odd failed" in entry.getMessage()
    assert strategy.asked == 2


async def test_a_strategy_that_fails_at_once_leaves_the_status_as_progress(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    strategy = Odd(ValueError("boom"), after=0)
    monkeypatch.setattr(Deploy, "polling", strategy)

    for asked, name in enumerate(("node01", "node02"), 1):
        assert (await house.run(name)).status_name == "Deployed"
        assert strategy.asked == asked, "another operation uses the strategy again"

    assert "Deploying" in house.messages
    assert caplog.text.count("Odd failed") == 2


@pytest.mark.parametrize("fraction", [math.nan, math.inf, -1, 5, True, 10**400])
async def test_an_invalid_fraction_is_ignored(house: House, monkeypatch: pytest.MonkeyPatch, fraction: float) -> None:
    monkeypatch.setattr(OddRelease, "polling", Odd(Milestone(fraction, "On its way")))

    result = await house.run("node07", OddRelease)

    assert result.status_name == "Ready"
    values = [progress.value for progress in house.reported]
    assert values == sorted(set(values))
    assert all(0.0 <= value <= 1.0 for value in values)


def test_a_strategy_that_overrides_assess_is_rejected_at_its_definition() -> None:
    with pytest.raises(TypeError, match=r"Judge\.assess: expected no such method, .* Override `measure`"):
        type("Judge", (StatusPolling,), {"assess": lambda *_: None})


async def test_a_strategy_patched_later_does_not_decide_the_verdict(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = Odd(Milestone(0.5, "Half way"), after=99)
    monkeypatch.setattr(strategy, "assess", lambda *_: "Deployed")
    monkeypatch.setattr(Deploy, "polling", strategy)
    house.region.plan("node01", fail="Installing OS")

    with pytest.raises(OperationFailedError):
        await house.run("node01")


async def test_the_fallback_keeps_the_needs_of_the_strategy() -> None:
    assert FallbackPolling(Deploy.polling, "a").needs == Deploy.polling.needs
