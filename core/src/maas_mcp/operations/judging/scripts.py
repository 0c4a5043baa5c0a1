"""Progress of commissioning and testing: the boot by its events, then one script after the other."""

import re
from collections.abc import Collection, Sequence
from itertools import chain
from statistics import fmean
from typing import Final

from maas_mcp.maas.models import ScriptResult, ScriptSet, ScriptSetName, ScriptStatus
from maas_mcp.operations.judging.assessment import Milestone
from maas_mcp.operations.judging.evidence import Evidence, Needs, Observation
from maas_mcp.operations.judging.strategies import EventPolling, Phase, PollingStrategy

PENDING: Final = ScriptStatus.PENDING
RUNNING: Final = frozenset(
    {
        ScriptStatus.RUNNING,
        ScriptStatus.INSTALLING_DEPENDENCIES,
        ScriptStatus.APPLYING_NETWORK_CONFIGURATION,
    }
)
LEAST_WEIGHT: Final = 1.0
"""Seconds. MAAS estimates by what a script took before, and many take less than the second it counts in."""
UNTIMED: Final = 0.5
"""How much of a running script counts as done where MAAS does not say how long it has been running (3.7 does not)."""
ALMOST: Final = 0.95
"""The most that a running script may count for, however far beyond its estimate it is."""

_DURATION: Final = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)")


class ScriptPolling(PollingStrategy):
    """Progress from MAAS's script sets, after the events of the boot that comes before the scripts.

    Each script weighs what MAAS estimates it to take; where MAAS has no estimate, as much as the others do on average.

    Args:
        phases: The milestones before the first script, with fractions up to ``1 - share``.
        script_sets: The script sets that the operation runs, all of them together.
        share: The part of the progress that the scripts take.
    """

    def __init__(self, phases: Sequence[Phase], script_sets: Collection[ScriptSetName], *, share: float = 0.7) -> None:
        self._boot = EventPolling(phases)
        self.phases = self._boot.phases
        boot = round(1 - share, 6)  # 1 - 0.8 is a little less than 0.2
        if not 0 < share <= 1 or not script_sets or any(phase.fraction > boot for phase in self.phases):
            fractions = [phase.fraction for phase in self.phases]
            raise ValueError(
                f"ScriptPolling: expected script sets, a share of up to 1.0 for them, and phases up to what is left "
                f"({boot:g}); got {sorted(map(str, script_sets))}, {share:g} and {fractions}. "
                "Lower the phases' fractions: the rest belongs to the scripts."
            )
        self.share = share
        self.needs = Needs(script_sets=frozenset(script_sets))

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """The furthest phase, or how much of the scripts is done once one of them has begun."""
        boot = self._boot.measure(evidence, observation)
        results = list(
            chain.from_iterable(
                scripts.results
                for name, scripts in sorted(observation.script_sets.items())
                if name in self.needs.script_sets and _is_of_this_run(evidence, scripts)
            )
        )
        if all(result.status == PENDING for result in results):
            return boot
        return Milestone(max(boot.fraction or 0.0, 1 - self.share + self.share * done(results)), _told(results))


def _is_of_this_run(evidence: Evidence, scripts: ScriptSet) -> bool:
    """Whether a script set is this run's. MAAS keeps sets for ever, and a run need not have one of every kind.

    Of a run that somebody else started, its earlier sets are not known: then a set in which a script began before the
    run did is an earlier one's. Where no event says when it began, a set counts as long as something in it is left.
    """
    baseline, began = evidence.baseline, evidence.timeline.began
    if scripts.id in baseline.runs:
        return False
    if baseline.runs:
        return True
    if began is None or began.at is None:
        return any(_is_left(each) for each in scripts.results)
    return all(each.starttime is None or each.starttime >= began.at for each in scripts.results)


def _is_left(result: ScriptResult) -> bool:
    return result.status == PENDING or result.status in RUNNING


def done(results: Sequence[ScriptResult]) -> float:
    """How much of some scripts is done, from 0.0 to 1.0."""
    estimates = [seconds(result.estimated_runtime) for result in results]
    known = [max(estimate, LEAST_WEIGHT) for estimate in estimates if estimate is not None]
    usual = fmean(known) if known else LEAST_WEIGHT
    weights = [usual if estimate is None else max(estimate, LEAST_WEIGHT) for estimate in estimates]
    parts = [weight * _part(result, weight) for result, weight in zip(results, weights, strict=True)]
    return sum(parts) / sum(weights)


def _part(result: ScriptResult, weight: float) -> float:
    if result.status == PENDING:
        return 0.0
    if result.status not in RUNNING:
        return 1.0
    ran = seconds(result.runtime)
    return UNTIMED if ran is None else min(ran / weight, ALMOST)


def seconds(duration: str) -> float | None:
    """The seconds of ``H:MM:SS`` or ``D days, H:MM:SS``; ``None`` for ``Unknown`` and the like."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)


def _told(results: Sequence[ScriptResult]) -> str:
    ended = sum(result.status != PENDING and result.status not in RUNNING for result in results)
    failed = sum(result.failed for result in results)
    running = [result.name for result in results if result.status in RUNNING]
    if not running:
        told = f"{ended} of {len(results)} scripts have ended"
    elif len(running) == 1:
        told = f"Running {running[0]} ({ended + 1} of {len(results)})"
    else:
        told = f"Running {running[0]} and {len(running) - 1} more ({ended} of {len(results)} have ended)"
    return told + (f", {failed} failed" if failed else "")
